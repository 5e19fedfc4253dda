"""What is in a bundle: its images, its largest blobs, and the programs that can read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.bundle.format.lock import Lock
    from registry.bundle.read.analysis import ImageSize, LargestBlob
    from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class BlobCount:
    """A number of blobs, and their size in bytes together."""

    blobs: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class BundledImage:
    """An image in a bundle; sizes are bytes.

    `platforms` are in the bundle, `missing_platforms` only in the image's index. `signature_tag`
    says that it is no image, but a tag by which clients look for signatures. `size` bytes of the
    bundle belong to it: `unique` bytes that no image with another digest needs, and `shared` bytes;
    they are at least so many where `size_exact` is false, because a manifest was not given.
    `omitted_bytes` are left out of the bundle. `referrers` are the digests of manifests about the
    image (signatures, SBOMs), `wanted_by` the places that asked for it.
    """

    name: str
    digest: "Digest"
    platforms: tuple[str, ...]
    missing_platforms: tuple[str, ...]
    signature_tag: bool
    size: int
    unique: int
    shared: int
    omitted_bytes: int
    size_exact: bool
    referrers: "tuple[Digest, ...]"
    wanted_by: tuple[str, ...]

    @classmethod
    def of(cls, found: "ImageSize") -> Self:
        """Return the report of an image that was measured."""
        image = found.image
        return cls(
            name=image.name,
            digest=image.root.digest,
            platforms=image.platforms,
            missing_platforms=image.missing,
            signature_tag=image.is_extra,
            size=found.size,
            unique=found.unique,
            shared=found.shared,
            omitted_bytes=found.left_out,
            size_exact=found.is_known,
            referrers=tuple(referrer.digest for referrer in image.referrers),
            wanted_by=image.sources,
        )


@dataclass(frozen=True, slots=True)
class BundledBlob:
    """A blob of `size` bytes in a bundle, and the names of the images that need it."""

    digest: "Digest"
    size: int
    needed_by: tuple[str, ...]

    @classmethod
    def of(cls, found: "LargestBlob") -> Self:
        """Return the report of a blob that was found."""
        return cls(found.digest, found.size, found.users)


@dataclass(frozen=True, slots=True)
class BundleContent:
    """What is in the bundle of the id `bundle`.

    `blobs` is their number, `size` their bytes. `omitted` blobs are needed by the images and left
    out; the documents whose ids `requires` has say that the other side has them. `missing_volumes`
    are the numbers of the volumes that were not given. `readers` is a sentence that names the
    programs that can read the bundle.
    """

    bundle: str
    mode: str
    signed: bool
    size: int
    blobs: int
    omitted: BlobCount
    requires: tuple[str, ...]
    missing_volumes: list[int]
    images: list[BundledImage]
    largest: list[BundledBlob]
    readers: str


def count_omitted(lock: "Lock") -> BlobCount:
    """Return how many blobs a bundle leaves out."""
    return BlobCount(len(lock.omitted), sum(size for _, size in lock.omitted))


def list_images(found: "Sequence[ImageSize]") -> list[BundledImage]:
    """Return the reports of images that were measured, in the same order."""
    return [BundledImage.of(each) for each in found]
