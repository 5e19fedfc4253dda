"""The report of a bundle that was written, or would be written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from registry.reports.bundle.content import BlobCount, BundledImage


@dataclass(frozen=True, slots=True)
class WrittenBundle:
    """The bundle that a command wrote to `files`, or would write (`dry_run`).

    `bundle` is its id; None if no image could be included, so that nothing is written. `size` is
    the sum of `volume_sizes` in bytes, one for each file; `shape` is `file` (also a stream),
    `folder` or `volumes`. The other fields are by the name of an
    image: `unavailable_platforms` has the requested platforms that the image is not made for,
    `only_platform` the platform of an image without an index that was requested for another
    platform, and `failures` the reason why the image is not in the bundle.
    """

    dry_run: bool
    unavailable_platforms: Mapping[str, Sequence[str]]
    only_platform: Mapping[str, str]
    failures: Mapping[str, str]
    bundle: str | None = None
    mode: str | None = None
    signed: bool = False
    images: list[BundledImage] = field(default_factory=list)
    blobs: int = 0
    size: int = 0
    volume_sizes: list[int] = field(default_factory=list)
    shape: str = "file"
    omitted: BlobCount = field(default_factory=BlobCount)
    readers: str = ""
    files: list[Path] = field(default_factory=list)
