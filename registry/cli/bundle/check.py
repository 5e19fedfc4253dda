"""`entrepot bundle check`: is everything inside that a deployment is going to pull?"""

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli.bundle.selection import read_gaps
from registry.cli.images import sources
from registry.cli.platforms import read_platforms
from registry.cli.session import Config, Json, fail, format_error
from registry.cli.terminal import format_bytes, format_count, format_volumes
from registry.errors import BundleInvalid, EntrepotError, InvalidInput, SettingsError
from registry.image_lists.results import Entry, ListedImage, merge
from registry.oci.digest import Digest
from registry.oci.image_patterns import parse_image
from registry.oci.names import format_image
from registry.settings.loading import load_settings

if TYPE_CHECKING:
    from registry.bundle.read.coverage import Gap

_Inputs = Annotated[
    list[str],
    typer.Argument(metavar="BUNDLE... [IMAGE...]", help="Files and folders; the rest are images."),
]
_Platforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform", metavar="OS/ARCH", help="These (a,b or repeated) have to be inside."
    ),
]
_Have = Annotated[
    list[Path] | None,
    typer.Option(
        "--have", metavar="JSON", help="The other side has this inventory's layers. Repeatable."
    ),
]
_Since = Annotated[
    list[Path] | None,
    typer.Option("--since", metavar="BUNDLE", help="The other side has its layers. Repeatable."),
]


def check_bundle(
    inputs: _Inputs,
    *,
    file: sources.Files = None,
    kind: sources.FileKind = None,
    env_file: sources.EnvFile = None,
    build_arg: sources.BuildArgs = None,
    platform: _Platforms = None,
    have: _Have = None,
    since: _Since = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say what a deployment needs and a bundle has not; exit 1 if there is anything.

    What only looks like an image is told, and does not count. What a delta leaves out lacks, unless
    --have or --since says that the other side has it.

    Example: entrepot bundle check images.tar -f deploy.yaml --platform linux/amd64
    """
    bundle = [Path(each) for each in inputs if _is_path(each)]
    named = sources.Sources(
        images=[each for each in inputs if not _is_path(each)],
        files=file or (),
        kind=kind,
        env_file=env_file,
        build_args=build_arg or (),
    )
    try:
        entries = _read_entries(named, config)
        platforms = read_platforms(platform)
        if not (bundle and entries):
            what = "a bundle" if not bundle else "an image, or -f FILE"
            fail(f"nothing to check: name {what}", 2)
        there = read_gaps(have or [], since or [], None).facts["have"]
        gaps = _find_gaps(bundle, entries, platforms, there)
    except (InvalidInput, SettingsError) as error:
        fail(str(error), 2)
    except (EntrepotError, OSError) as error:
        fail(format_error(error), 1)
    if not _report(entries, gaps, as_json=as_json):
        raise typer.Exit(1)


def _report(entries: Sequence[Entry], gaps: "Sequence[Gap]", *, as_json: bool) -> bool:
    """Print what lacks; true if that is nothing but guesses."""
    guesses = {(each.repository, each.reference) for each in entries if each.is_guess}
    sure = [
        each for each in gaps if (each.request.repository, each.request.reference) not in guesses
    ]
    if as_json:
        facts = [_list_facts(gap, is_guess=gap not in sure) for gap in gaps]
        typer.echo(json.dumps({"checked": len(entries), "lacking": facts}))
    else:
        for gap in gaps:
            typer.echo(_tell(gap, is_guess=gap not in sure))
        if not sure:
            typer.echo(f"{format_count(len(entries), 'image')}: nothing lacks")
    return not sure


def _is_path(text: str) -> bool:
    """Whether a bundle is meant; a misspelt one shall not be taken for an image."""
    is_spelt = text == "-" or text.startswith(("/", ".")) or text.endswith((".tar", "/"))
    return is_spelt or Path(text).exists()


def _read_entries(named: sources.Sources, config: Path | None) -> tuple[Entry, ...]:
    """Read what is wanted, and tell what was passed over."""
    default = load_settings(config, os.environ).default_upstream
    wanted = [
        ListedImage(format_image(*parse_image(image, default)), "the command line")
        for image in named.images
    ]
    for found in sources.read_files(named):
        wanted += found.images
        for note in found.notes:
            typer.echo(f"entrepot: {note}", err=True)
    return merge(wanted)


def _find_gaps(
    bundle: Sequence[Path],
    entries: Sequence[Entry],
    platforms: Sequence[str],
    have: Collection[Digest],
) -> "list[Gap]":
    from registry.bundle.format.lock import ImageRequest  # noqa: PLC0415
    from registry.bundle.read.analysis import Analysis, read_manifests  # noqa: PLC0415
    from registry.bundle.read.coverage import find_gaps  # noqa: PLC0415
    from registry.bundle.read.open import open_paths  # noqa: PLC0415

    with open_paths(bundle) as opened:
        source = opened.source
        if source.missing:
            told = format_volumes(source.missing)
            why = f"not given: {told} of {source.count}; name all of them"
            raise BundleInvalid(source.label, why)
        analysis = Analysis(opened.lock, read_manifests(opened))
    requests = [ImageRequest(each.repository, each.reference, each.places) for each in entries]
    return find_gaps(opened.lock, analysis, requests, platforms, have)


def _tell(gap: "Gap", *, is_guess: bool) -> str:
    perhaps = " (if it is an image)" if is_guess else ""
    places = "".join(f"\n    wanted at {place}" for place in gap.request.sources)
    return f"{gap.name}{perhaps}: {'; '.join(_list_lacks(gap))}{places}"


def _list_lacks(gap: "Gap") -> list[str]:
    size = format_bytes(sum(gap.left_out))
    match len(gap.left_out):
        case 0:
            return list(gap.missing)
        case 1:
            told = f"1 layer, {size}, is left out"
        case count:
            told = f"{count} layers, {size} together, are left out"
    return [*gap.missing, f"{told}; --have or --since says what the other side has"]


def _list_facts(gap: "Gap", *, is_guess: bool) -> dict[str, Any]:
    return {
        "image": gap.name,
        "places": list(gap.request.sources),
        "lacks": _list_lacks(gap),
        "left_out": {"blobs": len(gap.left_out), "size": sum(gap.left_out)},
        "guess": is_guess,
    }
