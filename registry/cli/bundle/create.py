"""`entrepot bundle create` and `join`: from what is in the store, or in volumes, to files."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from registry.cli.bundle.output import (
    OutputRequest,
    OutputTarget,
    assign,
    deliver,
    list_facts,
    parse_limit,
    parse_target,
    print_facts,
)
from registry.cli.bundle.selection import Gaps, count_unmet, find_wants, read_gaps
from registry.cli.images import sources
from registry.cli.platforms import read_wished, tell_absent, tell_foreign, wishes_all
from registry.cli.session import Config, DryRun, Json, Session, fail, operate
from registry.cli.terminal import format_count
from registry.errors import BundleInvalid, EntrepotError
from registry.image_lists.results import Entry
from registry.oci.names import format_image

if TYPE_CHECKING:
    from registry.bundle.write.layout import Contents
    from registry.bundle.write.plan import Choice, Plan

_Images = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[IMAGE]...", help="Names, or globs of the tags here (of digests: app@*)."
    ),
]
_Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="A file, a folder (ends in /), or - for stdout. Overwrites no other bundle.",
    ),
]
_Platforms = Annotated[
    list[str] | None,
    typer.Option("--platform", metavar="OS/ARCH", help="Only these (a,b or repeated), or all."),
]
_Modes = Literal["subset", "complete", "flat"]
_Mode = Annotated[
    _Modes,
    typer.Option("--mode", help="Some platforms, all of them, or one without its index."),
]
_Limit = Annotated[
    str,
    typer.Option(
        "--volume-size",
        metavar="SIZE",
        help="Cut: 4GB, 25GiB, fat32, dvd. Of z.tar come z-0001-of-0002.tar and so on, of a folder"
        " bundle-0001-of-0002.tar, with SHA256SUMS beside.",
    ),
]
_Have = Annotated[
    list[Path] | None,
    typer.Option("--have", metavar="JSON", help="Leave out layers of this inventory. Repeatable."),
]
_Since = Annotated[
    list[Path] | None,
    typer.Option("--since", metavar="BUNDLE", help="Leave out layers of it. Repeatable."),
]
_Need = Annotated[
    Path | None, typer.Option("--need", metavar="JSON", help="Just what an import lacked.")
]
_Key = Annotated[
    Path | None, typer.Option("--sign", metavar="PEM", help="A private Ed25519 key to sign with.")
]


def create_bundle(
    output: _Output,
    images: _Images = None,
    *,
    file: sources.Files = None,
    kind: sources.FileKind = None,
    env_file: sources.EnvFile = None,
    build_arg: sources.BuildArgs = None,
    pulled_since: sources.PulledSince = None,
    client: sources.Clients = None,
    pulled: sources.Pulled = None,
    platform: _Platforms = None,
    mode: _Mode = "subset",
    volume_size: _Limit = "",
    have: _Have = None,
    since: _Since = None,
    need: _Need = None,
    sign: _Key = None,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Write images of the store into a bundle; the same images give the same bytes.

    Interrupted: run it again, it goes on. An image that is not whole here is told at the end (exit
    1); the others are written. Without --platform: this machine's.

    Example: entrepot bundle create -o images.tar nginx:1.27 'ghcr.io/team/*'
    """
    named = sources.Sources(
        (), file or (), kind, env_file, build_arg or (), pulled_since, client or (), pulled or ()
    )
    if named.is_empty and not (images or need):
        fail("name images or globs, a file with --file, or an import's gap with --need", 2)

    async def work(session: Session) -> bool:
        target = parse_target(output, parse_limit(volume_size))
        gaps = read_gaps(have or [], since or [], need)
        listed = await _gather(session, named)
        asked = [*(images or []), *gaps.images]
        wants = await find_wants(session, asked, listed) or sources.refuse_nothing(named)
        choice = _choose(mode, platform, gaps)
        plan = _forgive(await session.content.planner.plan(wants, choice), listed)
        is_whole = await _carry_out(session, plan, OutputRequest(target, sign, dry_run, as_json))
        return _meets(gaps, plan) and is_whole

    operate(config, work)


def _forgive(plan: "Plan", listed: tuple[Entry, ...]) -> "Plan":
    """Take what only looks like an image from the failures, with a remark."""
    for entry in listed:
        name = format_image(entry.repository, entry.reference)
        if entry.is_guess and name in plan.failures:
            del plan.failures[name]
            typer.echo(f"entrepot: {name} is not here, and may be no image", err=True)
    return plan


def _meets(gaps: Gaps, plan: "Plan") -> bool:
    unmet = count_unmet(gaps, plan.lock)
    if unmet:
        typer.echo(
            f"entrepot: {unmet} of the blobs that lack are in none of these images: their tags lead"
            " elsewhere by now; create without --need, or name the former images by digest too",
            err=True,
        )
    return not unmet


async def _gather(session: Session, named: sources.Sources) -> tuple[Entry, ...]:
    if named.is_empty:
        return ()
    gathered = await sources.gather(session, named)
    sources.print_notes(gathered)
    return gathered.entries


def _choose(mode: _Modes, named: list[str] | None, gaps: Gaps) -> "Choice":
    from registry.bundle.write.plan import Choice  # noqa: PLC0415

    if wishes_all(named):
        if mode == "flat":
            fail("--mode flat takes one platform, not all", 2)
        return Choice("complete", (), **gaps.facts)
    # What lacks says by itself for which platform.
    is_told = named or "only" not in gaps.facts
    return Choice(mode, tuple(read_wished(named)) if is_told else (), **gaps.facts)


async def _carry_out(session: Session, plan: "Plan", order: OutputRequest) -> bool:
    facts: dict[str, Any] = {"images": [], "files": []}
    archives = await _pack(session, plan, order) if plan.lock.images else []
    if archives:
        files = [] if order.is_dry else await deliver(archives, order.target)
        sizes = [each.measure() for each in archives]
        is_cut = order.target.limit is not None
        facts = list_facts(plan.lock, plan.manifests, sizes, is_cut=is_cut)
        facts["files"] = [str(path) for path in files]
        if not order.as_json:
            print_facts(facts, order, files)
    if order.as_json:
        told = json.dumps(
            facts
            | {"absent": plan.absent, "foreign": plan.foreign, "failures": plan.failures}
            | {"dry_run": order.is_dry}
        )
        typer.echo(told, err=order.target.is_stdout and not order.is_dry)
    _tell_remarks(plan, order)
    if archives and order.is_dry:
        assign(archives, order.target)  # a plan that would be refused is none
    return not plan.failures


async def _pack(session: Session, plan: "Plan", order: OutputRequest) -> "list[Contents]":
    from registry.bundle.format.signature import sign  # noqa: PLC0415
    from registry.bundle.write.layout import pack  # noqa: PLC0415
    from registry.wiring.content import find_data_folder, open_handles  # noqa: PLC0415

    store = open_handles(find_data_folder(session.settings)).store
    signature = sign(plan.lock.raw, order.key) if order.key else b""
    return await pack(plan.lock, plan.manifests, store, signature).fill(order.target.limit)


def _tell_remarks(plan: "Plan", order: OutputRequest) -> None:
    for name, absent in plan.absent.items():
        typer.echo(f"entrepot: {tell_absent(name, absent)}", err=True)
    for name, only in plan.foreign.items():
        typer.echo(f"entrepot: {tell_foreign(name, only)}", err=True)
    for why in plan.failures.values():
        typer.echo(f"entrepot: left out: {why}", err=True)
    if plan.failures and plan.lock.images:
        told = "the bundle is planned" if order.is_dry else "the bundle is written"
        typer.echo(
            f"entrepot: {told} without {format_count(len(plan.failures), 'image')}", err=True
        )


def join_volumes(
    volumes: Annotated[
        list[Path], typer.Argument(metavar="VOLUME...", help="All volumes, or their folder.")
    ],
    output: _Output,
) -> None:
    """Put volumes together to the one file that docker, podman and ctr read. Needs no store.

    Interrupted: run it again, it goes on.

    Example: entrepot bundle join images-*.tar -o whole.tar
    """
    import asyncio  # noqa: PLC0415

    try:
        asyncio.run(_join(volumes, parse_target(output, None)))
    except (EntrepotError, OSError) as error:
        fail(str(error), 1)


async def _join(volumes: list[Path], target: OutputTarget) -> None:
    from registry.bundle.read.blob_store import BundleStore  # noqa: PLC0415
    from registry.bundle.read.open import open_paths  # noqa: PLC0415
    from registry.bundle.write.layout import pack, read_manifests  # noqa: PLC0415

    with open_paths(volumes) as opened, TemporaryDirectory(prefix="entrepot-") as proofs:
        source = opened.source
        if source.missing:
            numbers = ", ".join(map(str, source.missing))
            raise BundleInvalid(source.label, f"volumes {numbers} of {source.count} are missing")
        store = BundleStore.over(opened, Path(proofs))
        manifests = await read_manifests(opened.lock, store)
        shipment = pack(opened.lock, manifests, store, opened.signature)
        for path in await deliver(await shipment.fill(target.limit), target):
            typer.echo(path)
