"""`entrepot bundle create`: write stored images into a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn, get_args

import typer

from registry.cli.bundle.output import Output, parse_limit, parse_target
from registry.cli.bundle.selection import (
    OtherSide,
    count_uncovered,
    find_images,
    read_other_side,
)
from registry.cli.bundle.writing import WriteRequest, write_bundle
from registry.cli.choices import read_choice
from registry.cli.images import sources
from registry.cli.images.gathered import Gathered, print_notes
from registry.cli.messages import FAILED, fail, warn
from registry.cli.platforms import choose_platforms, includes_all, platform_option
from registry.cli.session import Config, DryRun, Json, Quiet, Session, operate
from registry.image_lists.results import Entry
from registry.oci.names import format_image

if TYPE_CHECKING:
    from registry.bundle.write.choice import Choice
    from registry.bundle.write.plan import Plan

_Images = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[IMAGE]...",
        help="Names, or globs that match stored tags; 'app@*' matches stored images without a tag.",
    ),
]
_Platforms = Annotated[list[str] | None, platform_option("Write only these platforms, or all")]
_Modes = Literal["subset", "complete", "flat"]
_Mode = Annotated[
    _Modes,
    typer.Option(
        "--mode",
        metavar="subset|complete|flat",
        parser=read_choice(get_args(_Modes)),
        help="Some platforms (subset), all (complete), or one platform, without the index (flat).",
    ),
]
_Limit = Annotated[
    str,
    typer.Option(
        "--volume-size",
        metavar="SIZE",
        help="Cut into volumes: 4GB, 25GiB, fat32, dvd. z.tar becomes z-0001-of-0002.tar and so"
        " on; a folder gets bundle-0001-of-0002.tar. A file SHA256SUMS is written too.",
    ),
]
_Have = Annotated[
    list[Path] | None,
    typer.Option(
        "--have",
        metavar="FILE",
        help="Omit the layers in this inventory (entrepot images ls --inventory); may be repeated.",
    ),
]
_Since = Annotated[
    list[Path] | None,
    typer.Option(
        "--since", metavar="BUNDLE", help="Omit the layers in this bundle; may be repeated."
    ),
]
_Need = Annotated[
    Path | None,
    typer.Option(
        "--need", metavar="FILE", help="Write only the blobs listed in an import's need.json."
    ),
]
_Key = Annotated[
    Path | None,
    typer.Option(
        "--sign", metavar="PEM", help="A file with a private Ed25519 key (PEM) to sign with."
    ),
]


def create_bundle(
    output: Output,
    images: _Images = None,
    *,
    file: sources.Files = None,
    kind: sources.FileKind = None,
    guesses: sources.Guesses = False,
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
    quiet: Quiet = False,
) -> None:
    """Write stored images into a bundle; the same images give the same bytes.

    If it is interrupted, run it again: it continues. Images that are incomplete here are listed at
    the end (exit 1), and the others are written. Default platform: this machine's.

    Example: entrepot bundle create -o images.tar nginx:1.27 'ghcr.io/team/*'
    """
    history = (pulled_since, client or (), pulled or ())
    named = sources.Sources((), file or (), kind, env_file, build_arg or (), *history, guesses)
    if named.is_empty and not (images or need):
        fail("name images or globs, a file with --file, or an import's need.json with --need", 2)

    async def work(session: Session) -> bool:
        target = parse_target(output, parse_limit(volume_size))
        other_side = read_other_side(have or [], since or [], need)
        gathered = await _gather(session, named)
        listed, asked = gathered.entries, [*(images or []), *other_side.images]
        found = await find_images(session, asked, listed)
        wanted = found or _refuse_nothing(named, gathered)
        choice = _choose(mode, platform, other_side)
        plan = _drop_guesses(await session.content.planner.plan(wanted, choice), listed)
        request = WriteRequest(target, sign, dry_run, as_json, quiet, other_side.since)
        is_written = await write_bundle(session, plan, request)
        return _covers(other_side, plan) and is_written and gathered.is_complete

    operate(config, work, quiet=quiet)


def _refuse_nothing(named: sources.Sources, gathered: Gathered) -> NoReturn:
    """End the command, because no source names an image.

    Raises:
        ListInvalid: it is a mistake, and not only that nobody has pulled.
    """
    if named.is_history:
        why = sources.format_no_pulls(named)
        fail(f"no bundle was written, because {why}; name images, or a longer time", FAILED)
    sources.refuse_nothing(named, gathered)


def _drop_guesses(plan: "Plan", listed: tuple[Entry, ...]) -> "Plan":
    """Remove the failures of texts that only look like images, and print a message for each."""
    for entry in listed:
        name = format_image(entry.repository, entry.reference)
        if entry.is_guess and name in plan.failures:
            del plan.failures[name]
            warn(f"{name} is not stored here; it only looks like an image")
    return plan


def _covers(other_side: OtherSide, plan: "Plan") -> bool:
    """Return whether the bundle has all blobs that the need lists; if not, print a message."""
    count = count_uncovered(other_side, plan.lock)
    if count:
        warn(
            f"{count} of the missing blobs are in none of these images, because their tags lead to"
            " other images by now; create without --need, or name the earlier images by digest too"
        )
    return not count


async def _gather(session: Session, named: sources.Sources) -> Gathered:
    if named.is_empty:
        return Gathered()
    gathered = await sources.gather(session, named)
    print_notes(gathered)
    return gathered


def _choose(mode: _Modes, named: list[str] | None, other_side: OtherSide) -> "Choice":
    from registry.bundle.write.choice import Choice  # noqa: PLC0415

    if includes_all(named):
        if mode == "flat":
            fail("--mode flat takes one platform, not all", 2)
        return Choice("complete", (), **other_side.layers)
    # With `--need`, the platforms follow from the blobs that the need lists.
    has_platforms = "only" in other_side.layers and not named
    platforms = () if has_platforms else tuple(choose_platforms(named))
    return Choice(mode, platforms, **other_side.layers)
