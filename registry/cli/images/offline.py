"""`entrepot images ls` with `--offline` or `--inventory`: for work across an air gap."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.messages import fail, warn
from registry.cli.names import format_unmatched
from registry.cli.printing import print_report
from registry.cli.session import Session
from registry.cli.terminal import format_bytes, format_count
from registry.oci.image_patterns import ImagePattern
from registry.reports.offline import MissingPlatform, OfflineReadiness

if TYPE_CHECKING:
    from registry.content.image_report import ImageReport

_BY_BUNDLE = "no upstream can give it: import a bundle that contains it"
Offline = Annotated[
    bool, typer.Option("--offline", help="Show what would be missing without any upstream.")
]
Inventory = Annotated[
    bool,
    typer.Option("--inventory", help="Print all stored blobs, for: entrepot bundle create --have."),
]


async def print_inventory(session: Session, patterns: Sequence[ImagePattern]) -> bool:
    """Print the inventory of all stored blobs as canonical JSON (docs/bundle-format.md)."""
    from registry.bundle.format.inventory import write_inventory  # noqa: PLC0415

    if patterns:
        fail("an inventory lists everything that is stored; name no images with --inventory", 2)
    sys.stdout.buffer.write(write_inventory(await session.content.images.list_stored()))
    sys.stdout.buffer.write(b"\n")
    return True


def print_readiness(
    session: Session, images: "Sequence[ImageReport]", platforms: Sequence[str], *, as_json: bool
) -> bool:
    """Print which platforms can be pulled offline; return false if anything is missing."""
    from registry.content.offline_check import check_offline  # noqa: PLC0415

    # An image that was imported in part is known by its digest only, without the id of the bundle.
    # So all images of a repository count as imported if one of them has the id of a bundle.
    imported = {image.repository for image in images if image.bundle}
    readiness = [
        OfflineReadiness.of(
            check_offline(image, platforms),
            can_fetch=not session.settings.offline and image.repository not in imported,
        )
        for image in images
    ]
    print_report(readiness, _draw_readiness, as_json=as_json)
    return all(each.ready for each in readiness)


def report_unmatched(
    patterns: Sequence[ImagePattern], typed: Sequence[str], images: "Sequence[ImageReport]"
) -> bool:
    """Warn of names and globs, as `typed`, that match no stored image; false when there are any."""
    names = {(each.repository, name) for each in images for name in (each.reference, each.digest)}
    unmatched = [
        text
        for pattern, text in zip(patterns, typed, strict=True)
        if not any(pattern.matches(*name) for name in names)
    ]
    for text in unmatched:
        warn(format_unmatched(text))
    return not unmatched


def _draw_readiness(readiness: Sequence[OfflineReadiness]) -> Iterator[str]:
    for image in readiness:
        yield image.name
        yield from (f"  {platform or 'all of it'}: complete" for platform in image.complete)
        for missing in image.missing:
            yield from _describe(missing)
        for platform in image.unavailable_platforms:
            yield (
                f"  {platform}: this image has no such platform; use another image, or leave this"
                " platform out"
            )


def _describe(missing: MissingPlatform) -> Iterator[str]:
    what = "not stored"
    if missing.missing_bytes is not None:
        blobs = format_count(len(missing.blobs), "blob")
        what = f"missing {blobs}, {format_bytes(missing.missing_bytes)}"
    yield f"  {missing.platform or 'all of it'}: {what}"
    for blob in missing.blobs:
        yield f"    {blob.digest}" + ("" if blob.size is None else f"  {format_bytes(blob.size)}")
    yield from (f"    {sentence}" for sentence in missing.foreign_layers)
    if missing.fetch_command:
        yield f"    download it with: {missing.fetch_command}"
    elif len(missing.blobs) > len(missing.foreign_layers):
        yield f"    {_BY_BUNDLE}"
