"""`entrepot bundle diff`: the differences between two bundles."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.messages import MISUSED, report_errors
from registry.cli.printing import print_report
from registry.cli.session import Json
from registry.cli.tables import shorten_digests
from registry.cli.terminal import format_bytes, format_count
from registry.reports.bundle.comparison import BundleComparison, ChangedImage
from registry.reports.bundle.content import BlobCount

if TYPE_CHECKING:
    from registry.oci.digest import Digest

_ONE = "A bundle's file or folder, or a bundle.json."
_Old = Annotated[Path, typer.Argument(metavar="OLD", help=_ONE)]
_New = Annotated[Path, typer.Argument(metavar="NEW", help=_ONE)]


def compare_bundles(old: _Old, new: _New, as_json: Json = False) -> None:
    """Show what only NEW has (+), what only OLD has (-), and what differs (~).

    The layers that a delta omits are part of its images, and so are no difference in this sense.

    The exit codes are those of diff: 0 no difference, 1 a difference, 2 a bundle cannot be read.

    Example: entrepot bundle diff may.tar june.tar
    """
    from registry.bundle.read.compare import compare  # noqa: PLC0415
    from registry.bundle.read.open import load_lock  # noqa: PLC0415

    with report_errors(failed=MISUSED):  # 1 means a difference
        found = BundleComparison.of(compare(load_lock(old), load_lock(new)))
    print_report(found, _draw, as_json=as_json)
    if not found.same:
        raise typer.Exit(1)


def _draw(found: BundleComparison) -> Iterator[str]:
    yield from (f"+ {image.name}  {_shorten(image.digest)}" for image in found.added)
    yield from (f"- {image.name}  {_shorten(image.digest)}" for image in found.removed)
    yield from map(_describe, found.changed)
    for sign, count in (("+", found.new), ("-", found.gone)):
        if count.blobs:
            yield f"{sign} {format_count(count.blobs, 'blob')}, {format_bytes(count.size)}"
    both = (("NEW", found.new_omits, "OLD"), ("OLD", found.old_omits, "NEW"))
    omissions = [_describe_omitted(*each) for each in both if each[1].blobs]
    yield from omissions
    if found.same:
        yield "no other difference" if omissions else "no difference"


def _describe_omitted(bundle: str, omitted: BlobCount, other: str) -> str:
    layers = format_count(omitted.blobs, "layer")
    return f"~ {bundle} omits {layers}, {format_bytes(omitted.size)}, that {other} has"


def _shorten(digest: "Digest") -> str:
    return shorten_digests(str(digest))


def _describe(image: ChangedImage) -> str:
    parts = [f"{_shorten(image.old_digest)} -> {_shorten(image.new_digest)}"]
    if image.old_digest == image.new_digest:
        parts = []
    parts += [f"+{platform}" for platform in image.added_platforms]
    parts += [f"-{platform}" for platform in image.removed_platforms]
    return f"~ {image.name}  {', '.join(parts) or 'other referrers'}"
