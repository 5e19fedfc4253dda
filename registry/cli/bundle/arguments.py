"""Arguments of the commands that read bundles: the files of a bundle, and trusted keys."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from registry.bundle.read.head import Opened

Bundle = Annotated[
    list[Path],
    typer.Argument(metavar="BUNDLE...", help="A bundle's file, folder, or volumes; - reads stdin."),
]
Keys = Annotated[
    list[Path] | None,
    typer.Option("--key", metavar="PEM", help="A public key to trust; may be repeated."),
]


def check_signer(opened: "Opened", keys: Sequence[Path]) -> str:
    """Return the file name of the key that signed a bundle; empty if no keys are given.

    Raises:
        BundleInvalid: none of the keys signed the bundle.
        KeyInvalid: a file does not contain a public key.
    """
    from registry.bundle.format.signature import Policy  # noqa: PLC0415

    return Policy(tuple(keys), is_required=bool(keys)).check(opened.lock.raw, opened.signature)
