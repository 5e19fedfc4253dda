"""Which images and blobs a bundle contains, and how many bytes each of them takes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from registry.bundle.format.lock import Lock, LockedImage
from registry.bundle.format.tar import BlobMember
from registry.bundle.read.head import Opened, parse_without_raw
from registry.bundle.read.sources import read_small
from registry.errors import BundleInvalid, ManifestInvalid
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest


@dataclass(frozen=True, slots=True)
class ImageSize:
    """How many bytes of a bundle an image needs.

    `unique` is the size of the blobs that no image of another name needs; `left_out` is the size
    of the blobs that the bundle omits. `is_known` is false if manifests of the image are missing or
    damaged: then the image needs more bytes than these numbers say.
    """

    image: LockedImage
    size: int
    unique: int
    left_out: int
    is_known: bool = True

    @property
    def shared(self) -> int:
        """The size of the blobs that other images need too."""
        return self.size - self.unique


@dataclass(frozen=True, slots=True)
class LargestBlob:
    """A blob of `size` bytes, and the names of the images that need it."""

    digest: Digest
    size: int
    users: tuple[str, ...]


def read_manifests(opened: Opened) -> dict[Digest, Manifest]:
    """Return the manifests of a bundle, without their bytes, except those in missing volumes.

    `opened.blobs` is read up to the last manifest, so that a stream is not read further.

    Raises:
        BundleInvalid: one of the manifests is damaged.
        OSError: the bundle cannot be read.
    """
    found: dict[Digest, Manifest] = {}
    kinds = opened.lock.manifests
    while len(found) < len(kinds) and (member := next(opened.blobs, None)) is not None:
        if member.digest in kinds:
            found[member.digest] = _read_manifest(opened, member)
    return found


def _read_manifest(opened: Opened, member: BlobMember) -> Manifest:
    digest = member.digest
    raw, why = read_small(opened.source, member), "its bytes have another digest"
    try:
        if digest.matches(raw):
            return parse_without_raw(raw, opened.lock.manifests[digest], digest)
    except ManifestInvalid as error:
        why = str(error)
    raise BundleInvalid(
        opened.source.label, f"{digest} is damaged ({why}); see: entrepot bundle verify"
    )


class Analysis:
    """Which blobs each image of a bundle needs, as far as its manifests could be read. Pure."""

    def __init__(self, lock: Lock, manifests: Mapping[Digest, Manifest]) -> None:
        self._lock = lock
        self._manifests = manifests
        self._omitted = dict(lock.omitted)
        self._needs = {image.name: frozenset(self._reach(image)) for image in lock.images}
        self._users = Counter(each for needs in self._needs.values() for each in needs)

    def _reach(self, image: LockedImage) -> Iterator[Digest]:
        """Yield the digests of the blobs and manifests of the bundle that an image needs."""
        waiting = [image.root.digest, *(each.digest for each in image.referrers)]
        while waiting:
            digest = waiting.pop()
            yield digest
            manifest = self._manifests.get(digest)
            if manifest is not None:
                yield from (each.digest for each in manifest.blobs)
                waiting += [c.digest for c in manifest.children if c.digest in self._lock.manifests]

    def measure(self, image: LockedImage) -> ImageSize:
        """Return how many bytes an image of the lock needs."""
        needs = self._needs[image.name]
        sizes = {each: self._lock.sizes.get(each, 0) for each in needs}
        return ImageSize(
            image,
            size=sum(sizes.values()),
            unique=sum(size for each, size in sizes.items() if self._users[each] == 1),
            left_out=sum(self._omitted.get(each, 0) for each in needs),
            is_known=all(each in self._manifests for each in needs & self._lock.manifests.keys()),
        )

    def list_omitted(self, image: LockedImage) -> list[tuple[Digest, int]]:
        """Return the blobs that an image needs and the bundle omits, with sizes in bytes."""
        needs = self._needs[image.name]
        return [(digest, size) for digest, size in self._lock.omitted if digest in needs]

    def has_manifest(self, image: LockedImage, digest: Digest) -> bool:
        """Whether a manifest belongs to an image: its root, a child of it, or a referrer."""
        return digest in self._needs[image.name] and digest in self._lock.manifests

    def list_largest(self, count: int) -> list[LargestBlob]:
        """Return the `count` largest blobs of the bundle, the largest first."""
        largest = sorted(self._lock.blobs, key=lambda each: (-each[1], each[0]))[:count]
        return [
            LargestBlob(
                digest, size, tuple(name for name, needs in self._needs.items() if digest in needs)
            )
            for digest, size in largest
        ]
