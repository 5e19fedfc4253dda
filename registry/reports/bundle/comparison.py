"""The report of the differences between two bundles."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from registry.reports.bundle.content import BlobCount

if TYPE_CHECKING:
    from registry.bundle.format.lock import LockedImage
    from registry.bundle.read.compare import Change, Difference
    from registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class NamedDigest:
    """The full name of an image, and the digest that it leads to."""

    name: str
    digest: "Digest"


@dataclass(frozen=True, slots=True)
class ChangedImage:
    """An image that both bundles have, with different content.

    In the first bundle its name leads to `old_digest`, in the second to `new_digest`. If the two
    are equal, its platforms or its referrers differ.
    """

    name: str
    old_digest: "Digest"
    new_digest: "Digest"
    added_platforms: list[str]
    removed_platforms: list[str]

    @classmethod
    def of(cls, found: "Change") -> Self:
        """Return the report of one changed image."""
        digests = (found.former.root.digest, found.latter.root.digest)
        return cls(found.latter.name, *digests, found.gained, found.lost)


@dataclass(frozen=True, slots=True)
class BundleComparison:
    """The images that only the second bundle has, that only the first has, and that differ.

    `new` counts the blobs that only the second needs, `gone` those that only the first needs.
    `new_omits` counts the blobs that the second omits and the first contains, `old_omits` those
    that the first omits and the second contains; `same` is true even if there are some.
    """

    same: bool
    added: list[NamedDigest]
    removed: list[NamedDigest]
    changed: list[ChangedImage]
    new: BlobCount
    gone: BlobCount
    new_omits: BlobCount
    old_omits: BlobCount

    @classmethod
    def of(cls, found: "Difference") -> Self:
        """Return the report of the differences between two bundles."""
        return cls(
            same=found.is_empty,
            added=_list_images(found.added),
            removed=_list_images(found.removed),
            changed=[ChangedImage.of(each) for each in found.changed],
            new=_count(found.new),
            gone=_count(found.gone),
            new_omits=_count(found.newly_omitted),
            old_omits=_count(found.formerly_omitted),
        )


def _list_images(images: "Iterable[LockedImage]") -> list[NamedDigest]:
    return [NamedDigest(image.name, image.root.digest) for image in images]


def _count(blobs: "Mapping[Digest, int]") -> BlobCount:
    return BlobCount(len(blobs), sum(blobs.values()))
