"""Arguments of the commands that read bundles: the files of a bundle, and trusted keys."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.messages import warn
from registry.cli.terminal import format_missing_volumes

if TYPE_CHECKING:
    from registry.bundle.read.head import Opened

Bundle = Annotated[
    list[Path],
    typer.Argument(metavar="BUNDLE...", help="A bundle's file, folder, or volumes; - reads stdin."),
]
Keys = Annotated[
    list[Path] | None,
    typer.Option(
        "--key",
        metavar="PEM",
        help="A file with a public key (PEM) to trust; may be repeated.",
    ),
]


def format_missing(opened: "Opened", missing: Sequence[int], paths: Sequence[Path]) -> str:
    """Return why a command that needs all volumes of the bundle in `paths` cannot go on."""
    cure = f"copy it into {paths[0]}" if len(missing) == 1 else f"copy them into {paths[0]}"
    if not paths[0].is_dir():
        cure = "name all volumes"
    text = f"{format_missing_volumes(missing, opened.source.count)}; {cure}"
    return "; ".join([text, *opened.source.flaws.messages])


def warn_unchecked(opened: "Opened", signer: str, paths: Sequence[Path], require: str = "") -> None:
    """Warn that no signature of the bundle in `paths` was checked, unless it has a `signer`.

    `require` says how to refuse bundles without a signature.
    """
    if signer:
        return
    if opened.signature:
        warn(f"the signature of the bundle was not checked; {advise_check(paths)}")
    else:
        warn(
            "; ".join(
                ["the bundle is not signed: anybody may have made it", *filter(None, [require])]
            )
        )


def advise_check(paths: Sequence[Path]) -> str:
    """Return how to check the signature of the bundle in `paths`."""
    return f"check it: entrepot bundle verify {shlex.join(map(str, paths))} --key PEM"


@contextmanager
def open_bundle(paths: Sequence[Path]) -> "Iterator[Opened]":
    """Open one bundle, and name the files beside it that are not its own.

    Raises:
        BundleInvalid: the paths are not one bundle, or the bundle cannot be used.
        OSError: a file cannot be read.
    """
    from registry.bundle.read.open import open_paths  # noqa: PLC0415

    with open_paths(paths) as opened:
        for path in opened.source.ignored:
            warn(f"{path}: it is not of this bundle, and is ignored")
        yield opened


def check_signer(opened: "Opened", keys: Sequence[Path]) -> str:
    """Return the file name of the key that signed a bundle; empty if no keys are given.

    Raises:
        BundleInvalid: none of the keys signed the bundle.
        FileUnreadable, KeyInvalid: a file cannot be read, or does not contain a public key.
    """
    from registry.bundle.format.signature import Policy  # noqa: PLC0415

    return Policy(named=tuple(keys)).check(opened.lock.raw, opened.signature)
