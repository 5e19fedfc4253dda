"""`entrepot bundle info`: what a bundle contains, and how large each image is."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from registry.cli.bundle.arguments import Bundle, advise_check, open_bundle
from registry.cli.bundle.documents import draw_blob_list, read_blob_list
from registry.cli.messages import report_errors
from registry.cli.numbers import read_number
from registry.cli.printing import print_report
from registry.cli.session import Json
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_bytes, format_count, format_volumes
from registry.reports.bundle.content import (
    BundleContent,
    BundledBlob,
    BundledImage,
    count_omitted,
    list_images,
)

_NUMBERS = ("SIZE", "UNIQUE", "SHARED", "OMITTED")  # columns
_Top = Annotated[
    int,
    typer.Option(
        "--top",
        metavar="N",
        parser=read_number(0, 1_000_000),
        help="How many of the largest blobs to list.",
    ),
]


def inspect_bundle(
    bundle: Bundle,
    *,
    top: _Top = 10,
    as_json: Json = False,
) -> None:
    """Show what is in a bundle, what takes the space, and which programs can read it.

    Reads the manifests and no layers; of a stream, only the beginning. Damaged layers are found by
    `bundle verify`. Of an inventory, a need.json or a bundle.json it shows the id, which a delta
    names that requires it.

    Example: entrepot bundle info images.tar
    """
    from registry.bundle.read.analysis import Analysis, read_manifests  # noqa: PLC0415
    from registry.bundle.read.compatibility import format_readers  # noqa: PLC0415

    with report_errors():
        if listed := read_blob_list(bundle):
            print_report(listed, draw_blob_list, as_json=as_json)
            return
        with open_bundle(bundle) as opened:
            manifests = read_manifests(opened)
    lock = opened.lock
    analysis = Analysis(lock, manifests)
    content = BundleContent(
        bundle=lock.bundle_id,
        mode=lock.mode,
        signed=bool(opened.signature),
        size=lock.size,
        blobs=len(lock.blobs),
        omitted=count_omitted(lock),
        requires=lock.requires,
        missing_volumes=list(opened.source.missing),
        volume_count=opened.source.count or None,
        images=list_images([analysis.measure(image) for image in lock.images]),
        largest=[BundledBlob.of(each) for each in analysis.list_largest(top)],
        readers=format_readers(lock, manifests, opened.source.shape),
    )
    print_report(content, partial(_draw, bundle=bundle), as_json=as_json)


def _draw(content: BundleContent, bundle: Sequence[Path]) -> Iterator[str | Table]:
    yield from _describe(content, bundle)
    yield ""
    yield _tabulate_images(content.images)
    if content.largest:
        yield ""
        yield _tabulate_blobs(content.largest)
    yield ""
    yield content.readers


def _describe(content: BundleContent, bundle: Sequence[Path]) -> Iterator[str]:
    images = [image for image in content.images if not image.signature_tag]
    tags = len(content.images) - len(images)
    also = f", {format_count(tags, 'signature tag')}" if tags else ""
    signature = f"signed, not checked; {advise_check(bundle)}" if content.signed else "none"
    yield content.bundle
    yield f"  images     {len(images)}{also}"
    yield f"  size       {format_bytes(content.size)} in {format_count(content.blobs, 'blob')}"
    yield f"  mode       {content.mode}"
    yield f"  signature  {signature}"
    if content.omitted.blobs:
        layers = format_count(content.omitted.blobs, "layer")
        yield f"  omitted    {format_bytes(content.omitted.size)} in {layers}"
    yield from (f"  requires   {each}" for each in content.requires)
    if content.missing_volumes:
        yield f"  missing    {format_volumes(content.missing_volumes)} of {content.volume_count}"


def _tabulate_images(images: Sequence[BundledImage]) -> Table:
    """Return the table of the images; a column that would be empty is left out."""
    columns: dict[str, Callable[[BundledImage], str]] = {
        "IMAGE": lambda image: image.name,
        "PLATFORMS": lambda image: ", ".join(image.platforms) or "all",
        "MISSING PLATFORMS": lambda image: ", ".join(image.missing_platforms),
        "REFERRERS": lambda image: str(len(image.referrers) or ""),
        "SIZE": _format_size,
        "UNIQUE": lambda image: format_bytes(image.unique),
        "SHARED": lambda image: format_bytes(image.shared),
        "OMITTED": lambda image: format_bytes(image.omitted_bytes) if image.omitted_bytes else "",
    }
    named = [each for each in images if not each.signature_tag]
    named.sort(key=lambda each: (-each.unique, each.name))
    cells = {name: [write(each) for each in named] for name, write in columns.items()}
    filled = {name: column for name, column in cells.items() if any(column)}
    table = make_table(*filled, numbers=_NUMBERS, names="IMAGE")
    for row in zip(*filled.values(), strict=True):
        table.add_row(*row)
    return table


def _format_size(image: BundledImage) -> str:
    return f"{'' if image.size_exact else 'at least '}{format_bytes(image.size)}"


def _tabulate_blobs(blobs: Sequence[BundledBlob]) -> Table:
    table = make_table("LARGEST BLOBS", "SIZE", "NEEDED BY", numbers=("SIZE",), names="NEEDED BY")
    for blob in blobs:
        table.add_row(str(blob.digest), format_bytes(blob.size), "\n".join(blob.needed_by))
    return table
