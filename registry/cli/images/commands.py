"""`entrepot images`: what images are here, and which of them are to stay or to go."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli.images.offline import Inventory, Offline, print_inventory, print_readiness
from registry.cli.images.refresh import refresh
from registry.cli.images.warm import warm
from registry.cli.names import find_known, find_names, match_exactly
from registry.cli.platforms import read_platforms
from registry.cli.session import Config, DryRun, Json, Session, operate
from registry.cli.terminal import format_age, format_bytes, format_count, make_table, print_table
from registry.errors import ImagePinned, NotPinned
from registry.oci.image_patterns import ImagePattern
from registry.oci.names import Reference, Repository, format_image

if TYPE_CHECKING:
    from registry.content.image_report import ImageReport, PlatformReport

_Listed = Annotated[
    list[str] | None, typer.Argument(metavar="[IMAGE]...", help="Names or globs; all without.")
]
_Images = Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Names or globs.")]
_Platforms = Annotated[
    list[str] | None,
    typer.Option("--platform", metavar="OS/ARCH", help="Only these (a,b or repeated)."),
]


def build_images_app() -> typer.Typer:
    """Return the sub-command `images`."""
    app = typer.Typer(
        help="List, describe, pin and remove images. A glob's * matches any characters. No tag"
        " means latest; in lists and globs, every tag.",
        no_args_is_help=True,
    )
    app.command("ls")(list_images)
    app.command("show")(show_images)
    app.command("pin")(pin)
    app.command("unpin")(unpin)
    app.command("refresh")(refresh)
    app.command("warm")(warm)
    app.command("rm")(remove)
    return app


def list_images(
    images: _Listed = None,
    *,
    offline: Offline = False,
    platform: _Platforms = None,
    inventory: Inventory = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List images: how much of them is here, when they were last pulled, what is pinned.

    With --offline, what of each could be pulled with no upstream, and what lacks; exit 1 if
    anything does. A platform counts if it is asked for, or else if somebody here has pulled it.

    Example: entrepot images ls 'ghcr.io/*' --json
    """

    async def work(session: Session) -> bool:
        default = session.settings.default_upstream
        patterns = [ImagePattern.parse(name, default) for name in images or []]
        if inventory:
            return await print_inventory(session, patterns)
        reports = await session.content.images.describe(patterns)
        if offline:
            return print_readiness(session, reports, read_platforms(platform), as_json=as_json)
        if as_json:
            typer.echo(json.dumps([_list_facts(report) for report in reports]))
            return True
        table = make_table("IMAGE", "DIGEST", "SIZE", "HERE", "PULLED", "PINNED", numbers=("SIZE",))
        for report in reports:
            table.add_row(
                report.name,
                report.digest,
                format_bytes(report.size),
                _tell_completeness(report),
                format_age(report.pulled),
                _tell_pins(report),
            )
        print_table(table)
        return True

    operate(config, work)


def _tell_completeness(report: "ImageReport") -> str:
    complete = [each for each in report.platforms if each.is_complete]
    names = ", ".join(each.platform for each in complete if each.platform)
    if len(complete) == len(report.platforms):
        return names or "complete"
    if not report.size:
        return "evicted"
    if len(report.platforms) == 1:
        return "incomplete"
    told = f"{len(complete)} of {len(report.platforms)}"
    return f"{told}: {names}" if names else told


def _tell_pins(report: "ImageReport") -> str:
    pinned = [each.platform for each in report.platforms if each.is_pinned]
    if not report.pins or len(pinned) == len(report.platforms):
        return "pinned" if report.pins else ""
    return f"pinned: {', '.join(pinned)}"


def _list_facts(report: "ImageReport") -> dict[str, Any]:
    platforms = [
        {key: value for key, value in asdict(each).items() if key != "is_pinned"}
        | {"complete": each.is_complete, "pinned": each.is_pinned}
        for each in report.platforms
    ]
    derived = {"name": report.name, "size": report.size, "complete": report.is_complete}
    return derived | asdict(report) | {"platforms": platforms}


def show_images(images: _Images, config: Config = None, as_json: Json = False) -> None:
    """Describe images: bytes of their own and shared ones, platforms and what lacks, who pins them.

    Example: entrepot images show nginx:1.27
    """

    async def work(session: Session) -> bool:
        names = await find_known(session, images)
        reports = await session.content.images.describe(match_exactly(names))
        if as_json:
            typer.echo(json.dumps([_list_facts(report) for report in reports]))
        else:
            typer.echo("\n\n".join(map(_describe, reports)))
        return True

    operate(config, work)


def _describe(report: "ImageReport") -> str:
    lines = [
        report.name,
        f"  digest     {report.digest}",
        f"  type       {report.media_type or 'unknown'}",
        f"  size       {format_bytes(report.size)}",
        f"    own      {format_bytes(report.unique)}",
        f"    shared   {format_bytes(report.shared)} with other images",
        f"  pulled     {format_age(report.pulled)}",
        f"  pinned by  {', '.join(report.pins) or 'nobody'}",
    ]
    if report.bundle:
        signed = f"signed by {report.signer}" if report.signer else "not signed"
        came = f"{report.bundle}, {signed}, {format_age(report.imported)}"
        lines.append(f"  bundle     {came}")
    for each in report.platforms:
        pinned = ", pinned" if each.is_pinned else ""
        lines.append(f"  {each.platform or 'platform unknown'}: {_tell_lack(each)}{pinned}")
    return "\n".join(lines)


def _tell_lack(platform: "PlatformReport") -> str:
    if platform.is_complete:
        return "complete"
    if platform.missing_bytes is None:
        return "not here"
    blobs = format_count(len(platform.missing), "blob")
    return f"lacks {blobs}, {format_bytes(platform.missing_bytes)}"


def pin(
    images: _Images,
    platform: _Platforms = None,
    config: Config = None,
    as_json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Keep images as they are now for ever, with all under them, whatever room is wanted.

    What of them is not here yet stays from when it is pulled. A tag that moves on leaves its pin
    behind, until it is refreshed.

    Example: entrepot images pin nginx:1.27 --platform linux/amd64
    """

    async def work(session: Session) -> bool:
        platforms = read_platforms(platform)
        names = await find_names(session, images)
        planned = await session.content.images.plan_pins(names, platforms)
        if not dry_run:
            await session.content.images.pin(planned)
        told = [format_image(repository, reference) for repository, reference in names]
        _tell("pinned", told, as_json=as_json, dry_run=dry_run)
        for report in await session.content.images.describe(match_exactly(names)):
            if not any(each.is_complete for each in report.platforms):
                why = f"{report.name} is not whole here; entrepot images refresh fetches what lacks"
                typer.echo(f"entrepot: {why}", err=True)
        return True

    operate(config, work)


def unpin(
    images: _Images, config: Config = None, as_json: Json = False, dry_run: DryRun = False
) -> None:
    """Let pinned images go again when room is wanted; nothing is deleted now.

    Example: entrepot images unpin 'docker.io/library/*'
    """

    async def work(session: Session) -> bool:
        default = session.settings.default_upstream
        pins = session.content.images.list_pins()
        gone: dict[tuple[Repository, Reference], None] = {}
        for name in images:
            pattern = ImagePattern.parse_exact(name, default)
            pinned = ((pin.repository, pin.reference) for pin in pins)
            meant = [each for each in pinned if pattern.matches(*map(str, each))]
            if not meant:
                raise NotPinned(name)
            gone |= dict.fromkeys(meant)
        if not dry_run:
            await session.content.images.unpin(gone)
        told = [format_image(repository, reference) for repository, reference in gone]
        _tell("unpinned", told, as_json=as_json, dry_run=dry_run)
        return True

    operate(config, work)


def _tell(what: str, names: list[str], *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        typer.echo(json.dumps({what: names, "dry_run": dry_run}))
    else:
        for name in names:
            typer.echo(f"{'would be ' if dry_run else ''}{what}: {name}")


def remove(
    images: _Images, config: Config = None, as_json: Json = False, dry_run: DryRun = False
) -> None:
    """Remove images, and the bytes that no other image needs. Pinned ones are refused.

    Example: entrepot images rm 'docker.io/team/app:*' --dry-run
    """

    async def work(session: Session) -> bool:
        removals = session.content.deletion
        names = await find_known(session, images)
        plan = await removals.plan(names)
        freed = sum(sum(removal.blobs.values()) for removal in plan.removals)
        if not dry_run:
            freed = await removals.carry_out(plan.removals)
        removed = [format_image(*name) for name in names if name not in plan.refused]
        refused = [str(ImagePinned(pin)) for pin in plan.refused.values()]
        if as_json:
            facts = {"removed": removed, "freed": freed, "refused": refused, "dry_run": dry_run}
            typer.echo(json.dumps(facts))
        else:
            for spelled in removed:
                typer.echo(f"{'would be ' if dry_run else ''}removed: {spelled}")
            typer.echo(f"{'would free' if dry_run else 'freed'} {format_bytes(freed)}")
        for why in refused:
            typer.echo(f"entrepot: {why}", err=True)
        return not refused

    operate(config, work)
