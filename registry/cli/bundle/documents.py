"""The lists of blobs that are kept beside bundles, as `entrepot bundle info` describes them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from registry.cli.terminal import format_bytes, format_count
from registry.reports.bundle.content import BlobList


def read_blob_list(paths: Sequence[Path]) -> BlobList | None:
    """Return the report of an inventory, a `need.json` or a `bundle.json`; None for other files.

    Raises:
        FileUnreadable: the file cannot be read.
        BundleInvalid: it is JSON, and none of the three.
        OSError: the file cannot be read to its end.
    """
    from registry.bundle.format.inventory import Inventory  # noqa: PLC0415
    from registry.bundle.read.open import load_document  # noqa: PLC0415

    found = load_document(paths[0]) if len(paths) == 1 else None
    if found is None:
        return None
    if isinstance(found, Inventory):
        kind = "need.json" if found.images else "inventory"
        identity, images, blobs = found.id, found.images, found.blobs
    else:
        kind, identity, blobs = "bundle.json", found.bundle_id, found.blobs
        images = tuple(image.name for image in found.images)
    return BlobList(kind, identity, len(blobs), sum(size for _, size in blobs), images)


def draw_blob_list(listed: BlobList) -> Iterator[str]:
    """Yield the lines about a list: first its id, by which a delta requires it."""
    yield listed.id
    yield f"  kind       {listed.kind}"
    yield f"  lists      {format_bytes(listed.size)} in {format_count(listed.blobs, 'blob')}"
    yield from (f"  image      {name}" for name in listed.images)
