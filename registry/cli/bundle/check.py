"""`entrepot bundle check`: whether a bundle contains all images that a deployment pulls."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.bundle.arguments import format_missing, open_bundle, warn_unchecked
from registry.cli.bundle.selection import OtherSide, read_other_side
from registry.cli.images import sources
from registry.cli.images.gathered import Gathered
from registry.cli.messages import MISUSED, fail, report_errors, warn
from registry.cli.platforms import platform_option, read_checked_platforms
from registry.cli.printing import print_report
from registry.cli.session import Config, Json
from registry.cli.terminal import format_bytes, format_count
from registry.errors import BundleInvalid
from registry.image_lists.results import Entry, ListedImage
from registry.oci.image_patterns import parse_image
from registry.oci.names import format_image
from registry.reports.bundle.coverage import CoverageResult, MissingImage
from registry.settings.loading import load_settings

if TYPE_CHECKING:
    from registry.bundle.read.coverage import Gap

_Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="BUNDLE... [IMAGE...]",
        help="First the files and folders of the bundle, then images.",
    ),
]
_Guesses = Annotated[
    bool,
    typer.Option("--guesses", help="Texts that look like images have to be in the bundle too."),
]
_Platforms = Annotated[list[str] | None, platform_option("These have to be in the bundle")]
_Have = Annotated[
    list[Path] | None,
    typer.Option(
        "--have",
        metavar="FILE",
        help="The air-gapped side has the layers in this inventory (entrepot images ls"
        " --inventory); may be repeated.",
    ),
]
_Since = Annotated[
    list[Path] | None,
    typer.Option(
        "--since",
        metavar="BUNDLE",
        help="The air-gapped side has imported this bundle; may be repeated, the oldest first.",
    ),
]


def check_bundle(
    inputs: _Inputs,
    *,
    file: sources.Files = None,
    kind: sources.FileKind = None,
    guesses: _Guesses = False,
    env_file: sources.EnvFile = None,
    build_arg: sources.BuildArgs = None,
    platform: _Platforms = None,
    have: _Have = None,
    since: _Since = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show which images of a deployment are missing from a bundle; exit 1 if any are.

    A text that only looks like an image is shown, since it may be needed; without --guesses, it
    does not count. A layer that a delta omits is missing, unless --have or --since says that the
    air-gapped side has it. The images of the bundles that --since names count too.

    Example: entrepot bundle check images.tar -f deploy.yaml --platform amd64
    """
    bundle = [Path(each) for each in inputs if _is_path(each)]
    named = sources.Sources(
        images=[each for each in inputs if not _is_path(each)],
        files=file or (),
        kind=kind,
        env_file=env_file,
        build_args=build_arg or (),
    )
    with report_errors():
        gathered = _read_entries(named, config)
        entries = gathered.entries
        platforms = read_checked_platforms(platform)
        if bundle and named.files and not entries:
            sources.refuse_nothing(named, gathered)
        if not (bundle and entries):
            what = "a bundle" if not bundle else "an image, or -f FILE"
            fail(f"nothing to check: name {what}", MISUSED)
        other_side = read_other_side(have or [], since or [], None)
        gaps = _find_gaps(bundle, entries, platforms, other_side)
    result = CoverageResult.of(entries, gaps, counts_guesses=guesses)
    print_report(result, partial(_draw, platforms=platforms), as_json=as_json)
    if count := gathered.unknown:
        what = "1 image is" if count == 1 else f"{count} images are"
        warn(f"{what} not known, so the check is not complete; the first lines say which and why")
    if not (result.is_complete and gathered.is_complete):
        raise typer.Exit(1)


def _is_path(text: str) -> bool:
    """Whether an argument is the path of a bundle; a misspelt path is not taken for an image."""
    looks_so = text == "-" or text.startswith(("/", ".")) or text.lower().endswith((".tar", "/"))
    return looks_so or Path(text).exists()


def _read_entries(named: sources.Sources, config: Path | None) -> Gathered:
    """Return the wanted images and guesses, and print the notes about places that were skipped."""
    registries = load_settings(config, os.environ).registries
    wanted = [
        ListedImage(format_image(*parse_image(image, registries)), sources.COMMAND_LINE)
        for image in named.images
    ]
    found = sources.read_files(named)
    wanted += [image for each in found for image in each.images]
    notes = [note for each in found for note in each.notes]
    gathered = Gathered.of(wanted, notes, registries, guesses=True)
    for note in gathered.notes:
        warn(str(note))
    return gathered


def _find_gaps(
    bundle: Sequence[Path],
    entries: Sequence[Entry],
    platforms: Sequence[str],
    other_side: OtherSide,
) -> "list[Gap]":
    from registry.bundle.format.lock import ImageRequest  # noqa: PLC0415
    from registry.bundle.read.analysis import Analysis, read_manifests  # noqa: PLC0415
    from registry.bundle.read.coverage import find_gaps  # noqa: PLC0415

    with open_bundle(bundle) as opened:
        if missing := list(opened.source.missing):
            raise BundleInvalid(opened.source.label, format_missing(opened, missing, bundle))
        warn_unchecked(opened, "", bundle)
        analysis = Analysis(opened.lock, read_manifests(opened))
    requests = [ImageRequest(each.repository, each.reference, each.places) for each in entries]
    have, former = other_side.layers["have"], other_side.bundles
    return find_gaps(opened.lock, analysis, requests, platforms, have=have, former=former)


def _draw(result: CoverageResult, platforms: Sequence[str]) -> Iterator[str]:
    for image in result.missing:
        guess = " may be needed (it looks like an image)" if image.guess else ""
        yield f"{image.image}{guess}: {'; '.join(_list_problems(image))}"
        yield from (f"    wanted by {place}" for place in image.wanted_by)
    count = format_count(result.needed, "image")
    if platforms:
        count += f" for {', '.join(platforms)}"
    if result.is_complete:
        guesses = format_count(len(result.missing), "possible image")
        but = f" except {guesses}" if result.missing else ""
        yield f"{count}: nothing is missing{but}"
    else:
        yield f"{result.incomplete} of {count} cannot be pulled completely"


def _list_problems(image: MissingImage) -> list[str]:
    count, size = image.omitted.blobs, format_bytes(image.omitted.size)
    if not count:
        return list(image.problems)
    layers = f"1 layer, {size}, is" if count == 1 else f"{count} layers, {size} together, are"
    them = "it" if count == 1 else "them"
    cure = (
        f"if the air-gapped side has {them}, name the earlier bundle with --since, or the inventory"
        " of that side with --have"
    )
    return [*image.problems, f"{layers} omitted: {cure}"]
