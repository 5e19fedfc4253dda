"""`entrepot images`: the list of its commands, and the commands `ls` and `show`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from registry.cli.choices import read_choice
from registry.cli.images.changes import pin, remove, unpin
from registry.cli.images.history import history, release, rollback
from registry.cli.images.offline import (
    Inventory,
    Offline,
    print_inventory,
    print_readiness,
    report_unmatched,
)
from registry.cli.images.refresh import refresh
from registry.cli.images.warm import warm
from registry.cli.messages import fail, warn
from registry.cli.names import find_known, match_exactly
from registry.cli.platforms import platform_option, read_checked_platforms
from registry.cli.printing import Summary, print_report
from registry.cli.session import Config, Json, Session, operate
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_age, format_bytes, format_count
from registry.content.image_report import ImageReport
from registry.oci.image_patterns import ImagePattern
from registry.reports.images import Image, Platform, list_images
from registry.settings.trust_domains import find_trusted

_NONE_GONE = (
    "no image is known to be gone upstream; to ask the upstreams: entrepot images refresh '*'"
)
_Listed = Annotated[
    list[str] | None, typer.Argument(metavar="[IMAGE]...", help="Names or globs; default: all.")
]
_NamesOnly = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the names.")]
_NOTHING = (
    "no image is stored here yet; pull one through the mirror, or run: entrepot images warm IMAGE"
)
_Gone = Annotated[
    bool, typer.Option("--gone", help="Only images that their upstream does not have any more.")
]
_Sort = Annotated[
    str,
    typer.Option(
        "--sort",
        metavar="BY",
        parser=read_choice(("name", "size", "pulled")),
        help="The order: name, size (the largest first), or pulled (the longest unused first).",
    ),
]
_Shown = Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Names or globs.")]
_Platforms = Annotated[list[str] | None, platform_option("With --offline: check these platforms")]


def build_images_app() -> typer.Typer:
    """Return the sub-command `images`."""
    app = typer.Typer(
        help="List, describe, download, pin, roll back and remove images. A name without a tag"
        " means the tag latest; for ls, and in a glob, it means every tag. In a glob, * matches any"
        " characters.",
        no_args_is_help=True,
    )
    app.command("ls")(list_stored)
    app.command("show")(show)
    app.command("pin")(pin)
    app.command("unpin")(unpin)
    app.command("refresh")(refresh)
    app.command("warm")(warm)
    app.command("rm")(remove)
    app.command("history")(history)
    app.command("rollback")(rollback)
    app.command("release")(release)
    return app


def list_stored(
    images: _Listed = None,
    *,
    gone: _Gone = False,
    sort: _Sort = "name",
    offline: Offline = False,
    platform: _Platforms = None,
    inventory: Inventory = False,
    config: Config = None,
    as_json: Json = False,
    names_only: _NamesOnly = False,
) -> None:
    """List images: their size, the platforms stored, the last pull, and pins.

    Exit 1 if a name or glob matches no stored image.

    With --offline, show which images could be pulled without any upstream and what of the others is
    missing; exit 1 if anything is. This checks the platforms that you name, or else those that a
    client has pulled from this mirror.

    Example: entrepot images ls 'ghcr.io/*' --json
    """
    if platform and not offline:
        fail("--platform is only for --offline: entrepot images ls --offline --platform ...", 2)

    async def work(session: Session) -> bool:
        registries = session.settings.registries
        patterns = [ImagePattern.parse(name, registries) for name in images or []]
        if inventory:
            return await print_inventory(session, patterns)
        # Offline, nobody can prove that an upstream has bytes of another one.
        trusted = find_trusted(session.settings.upstreams) if offline else {}
        found = await session.content.images.describe(patterns, trusted)
        if gone:
            found = [image for image in found if image.gone]
        found = _sort(found, sort)
        is_ready = True
        if offline:
            is_ready = print_readiness(
                session, found, read_checked_platforms(platform), as_json=as_json
            )
        elif found or as_json:
            draw = _draw_names if names_only else _draw_list
            print_report(list_images(found), draw, as_json=as_json)
        if not (found or patterns):
            warn(_NONE_GONE if gone else _NOTHING)
        return report_unmatched(patterns, images or [], found) and is_ready

    operate(config, work, quiet=names_only)


def _sort(found: list[ImageReport], order: str) -> list[ImageReport]:
    """Return images in an order; they have that of their names."""
    if order == "size":
        return sorted(found, key=lambda image: -image.size)
    return sorted(found, key=lambda image: image.pulled) if order == "pulled" else found


def _draw_names(images: Sequence[Image]) -> Iterator[str]:
    yield from (image.name for image in images)


def _draw_list(images: Sequence[Image]) -> Iterator[Table]:
    columns = ("IMAGE", "DIGEST", "SIZE", "STORED", "PULLED", "PINNED")
    table = make_table(*columns, numbers=("SIZE",), names="IMAGE", whole=("PULLED",))
    for image in images:
        table.add_row(
            image.name,
            image.digest,
            format_bytes(image.size),
            _format_stored(image),
            format_age(image.pulled),
            _format_pins(image),
        )
    yield table


def _format_stored(image: Image) -> str:
    complete = [each for each in image.platforms if each.complete]
    names = ", ".join(each.platform for each in complete if each.platform)
    if len(complete) == len(image.platforms):
        return names or "complete"
    if not image.size:
        return "not stored"
    if len(image.platforms) == 1:
        return "incomplete"
    count = f"{len(complete)} of {len(image.platforms)}"
    return f"{count}: {names}" if names else count


def _format_pins(image: Image) -> str:
    """Return what is pinned, or by which names the content of an image is kept that is not."""
    if not image.pins:
        return ""
    if not image.pinned:
        other = image.pins[0].removeprefix(f"{image.repository}:")
        return f"kept by {other}" + (f" and {len(image.pins) - 1} more" if image.pins[1:] else "")
    pinned = [each.platform for each in image.platforms if each.pinned]
    return "yes" if len(pinned) == len(image.platforms) else ", ".join(pinned)


def show(images: _Shown, config: Config = None, as_json: Json = False) -> None:
    """Describe images: their size, what is missing for each platform, and who pins them.

    Example: entrepot images show nginx:1.27
    """

    async def work(session: Session) -> bool:
        names = await find_known(session, images)
        found = await session.content.images.describe(match_exactly(names))
        print_report(list_images(found), _draw_details, as_json=as_json)
        return True

    operate(config, work)


def _draw_details(images: Sequence[Image]) -> Iterator[str]:
    for number, image in enumerate(images):
        yield from [""] if number else []
        yield from _describe(image)


def _describe(image: Image) -> Iterator[str]:
    yield image.name
    yield f"  digest     {image.digest}"
    yield f"  type       {image.media_type or 'unknown'}"
    yield f"  size       {format_bytes(image.size)}"
    yield f"    unique   {format_bytes(image.unique)}"
    yield f"    shared   {format_bytes(image.shared)} with other images"
    yield f"  pulled     {format_age(image.pulled)}"
    yield f"  pinned     {_describe_pins(image)}"
    if image.gone:
        yield f"  upstream   does not have it any more, since {format_age(image.gone)}"
    if image.bundle:
        signed = f"signed by {image.signer}" if image.signer else "signature not checked"
        imported = f"imported {format_age(image.imported)}, {signed}"
        yield Summary(f"  bundle     {image.bundle} ({imported})")
    for each in image.platforms:
        pinned = (", pinned" if each.complete else " (kept when it comes)") * each.pinned
        yield f"  {each.platform or 'platform unknown'}: {_format_missing(each)}{pinned}"
        yield from (f"    {sentence}" for sentence in each.foreign_layers)


def _describe_pins(image: Image) -> str:
    """Return by which names an image is pinned: by its own, or by other names of its content."""
    others = [name for name in image.pins if name != image.name]
    if image.pinned:
        return f"yes; also as {', '.join(others)}" if others else "yes"
    return f"no, but its content is kept by the pins of {', '.join(others)}" if others else "no"


def _format_missing(platform: Platform) -> str:
    if platform.complete:
        return "complete"
    if platform.missing_bytes is None:
        return "not stored"
    blobs = format_count(len(platform.missing), "blob")
    return f"missing {blobs}, {format_bytes(platform.missing_bytes)}"
