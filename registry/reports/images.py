"""The reports of stored images, and of pins and removals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.content.image_report import ImageReport, PlatformReport


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform of an image; `platform` is empty if the image names no platform.

    `complete` says whether all its blobs are stored. `missing` has the digests of the blobs that
    are not stored, `missing_sizes` their sizes in bytes, `missing_bytes` the sum. If the manifest
    itself is missing, `missing` has only its digest, `missing_sizes` is empty, and `missing_bytes`
    is None, because only the manifest lists the blobs. `foreign_layers` says which of the missing
    blobs the upstream need not have, and where they are.
    """

    platform: str
    digest: str
    complete: bool
    pinned: bool
    missing: tuple[str, ...]
    missing_sizes: tuple[int, ...]
    missing_bytes: int | None
    foreign_layers: tuple[str, ...]

    @classmethod
    def of(cls, found: "PlatformReport") -> Self:
        """Return the report of a platform from its `PlatformReport`."""
        return cls(
            found.platform,
            found.digest,
            complete=found.is_complete,
            pinned=found.is_pinned,
            missing=found.missing,
            missing_sizes=found.missing_sizes,
            missing_bytes=found.missing_bytes,
            foreign_layers=found.foreign,
        )


@dataclass(frozen=True, slots=True)
class Image:
    """A stored image, under one of its names.

    `size` is the number of its stored bytes: `unique` bytes that no image with another digest uses,
    and `shared` bytes. `pulled` is when a client last pulled the image (epoch seconds, 0: never).
    `pins` has the names of the pins that keep its content, and `pinned` says whether its own name
    is among them. If the name was imported, `bundle` is the
    id of the bundle, `signer` the file name of the key that signed the bundle, and `imported` the
    time of the import (epoch seconds); otherwise they are empty and 0. `gone` is when its upstream
    first said that it does not have the tag any more (epoch seconds, 0: it has, or was not asked).
    """

    name: str
    repository: str
    reference: str
    digest: str
    media_type: str
    size: int
    unique: int
    shared: int
    complete: bool
    pulled: float
    pins: tuple[str, ...]
    pinned: bool
    platforms: tuple[Platform, ...]
    bundle: str
    signer: str
    imported: float
    gone: float

    @classmethod
    def of(cls, found: "ImageReport") -> Self:
        """Return the report of an image from its `ImageReport`."""
        return cls(
            name=found.name,
            repository=found.repository,
            reference=found.reference,
            digest=found.digest,
            media_type=found.media_type,
            size=found.size,
            unique=found.unique,
            shared=found.shared,
            complete=found.is_complete,
            pulled=found.pulled,
            pins=found.pins,
            pinned=found.name in found.pins,
            platforms=tuple(map(Platform.of, found.platforms)),
            bundle=found.bundle,
            signer=found.signer,
            imported=found.imported,
            gone=found.gone,
        )


def list_images(found: "Sequence[ImageReport]") -> list[Image]:
    """Return the reports of all images from their `ImageReport`s, in the same order."""
    return [Image.of(each) for each in found]


@dataclass(frozen=True, slots=True)
class PinnedImages:
    """The names that were pinned, or would be pinned (`dry_run`).

    `incomplete` has the names of images of which no platform is stored completely.
    """

    pinned: list[str]
    incomplete: list[str]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class UnpinnedImages:
    """The names whose pins were removed, or would be removed (`dry_run`)."""

    unpinned: list[str]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class RemovedImages:
    """The names that were removed, or would be removed (`dry_run`), and the bytes that this frees.

    `refused` has a sentence for each name that a pin keeps.
    """

    removed: list[str]
    freed: int
    refused: list[str]
    dry_run: bool
