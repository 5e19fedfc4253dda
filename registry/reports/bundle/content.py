"""The report of a bundle: its images, its largest blobs, and the programs that can read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.bundle.format.lock import Lock
    from registry.bundle.read.analysis import ImageSize, LargestBlob
    from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class BlobCount:
    """A number of blobs, and the sum of their sizes in bytes."""

    blobs: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class BundledImage:
    """An image in a bundle; sizes are in bytes.

    The index of the image lists `platforms`, which are in the bundle, and `missing_platforms`,
    which are not. `signature_tag` says whether the name is only a tag by which clients look for
    signatures. The image needs `size` bytes of the bundle. Images of other names also need
    `shared` of these bytes, and do not need the `unique` bytes. If `size_exact` is false, a
    manifest was not given, and the sizes may be larger. The bundle leaves out `omitted_bytes` that
    the image needs. `referrers` are the digests of manifests about the image (signatures, SBOMs),
    and `wanted_by` are the places that name the image.
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
        """Return the report of an image from its `ImageSize`."""
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
        """Return the report of a blob from its `LargestBlob`."""
        return cls(found.digest, found.size, found.users)


@dataclass(frozen=True, slots=True)
class BlobList:
    """A list of blobs in a file of its own; deltas require it by its `id`.

    `kind` is `inventory`, `need.json` or `bundle.json`; the last two name `images` too. `size` is
    the sum of the sizes of the `blobs`, in bytes.
    """

    kind: str
    id: str
    blobs: int
    size: int
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BundleContent:
    """The content of the bundle with the id `bundle`.

    `blobs` is the number of blobs, `size` the sum of their sizes in bytes. The images also need the
    `omitted` blobs, which the bundle leaves out; `requires` are the ids of the documents that say
    that the importing side has them. `missing_volumes` are the numbers of the volumes that were not
    given, of `volume_count` in all (None: the bundle is not cut). `readers` are lines that
    name the programs that can read the bundle, and those that cannot.
    """

    bundle: str
    mode: str
    signed: bool
    size: int
    blobs: int
    omitted: BlobCount
    requires: tuple[str, ...]
    missing_volumes: list[int]
    volume_count: int | None
    images: list[BundledImage]
    largest: list[BundledBlob]
    readers: str


def count_omitted(lock: "Lock") -> BlobCount:
    """Return the number and size of the blobs that a bundle leaves out."""
    return BlobCount(len(lock.omitted), sum(size for _, size in lock.omitted))


def list_images(found: "Sequence[ImageSize]") -> list[BundledImage]:
    """Return the reports of images from their `ImageSize`s, in the same order."""
    return [BundledImage.of(each) for each in found]
