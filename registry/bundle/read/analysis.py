"""What is in a bundle, and why it is that large."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from registry.bundle.format.lock import Lock, LockedImage
from registry.bundle.format.tar import Member, read_blob_name
from registry.bundle.read.head import Opened, sketch
from registry.bundle.read.sources import read_small
from registry.errors import BundleInvalid, ManifestInvalid
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest


@dataclass(frozen=True, slots=True)
class ImageSize:
    """What an image takes of a bundle, in bytes.

    `unique` is what no image with another root needs; `left_out` is what the other side is said to
    have. `is_known` is false where the bundle's manifests are not all at hand, which say more.
    """

    image: LockedImage
    size: int
    unique: int
    left_out: int
    is_known: bool = True

    @property
    def shared(self) -> int:
        """What other images need too."""
        return self.size - self.unique


@dataclass(frozen=True, slots=True)
class LargestBlob:
    """A blob of `size` bytes, and the names of the images that need it."""

    digest: Digest
    size: int
    users: tuple[str, ...]


def read_manifests(opened: Opened) -> dict[Digest, Manifest]:
    """Read the manifests of a bundle, without their bytes; those in volumes not given are left out.

    Of `opened.rest` only what comes before the last manifest is used, so of a stream only that
    much is read.

    Raises:
        BundleInvalid: one of them is damaged.
        OSError: it cannot be read.
    """
    found: dict[Digest, Manifest] = {}
    kinds = opened.lock.manifests
    while len(found) < len(kinds) and (member := next(opened.rest, None)) is not None:
        digest = read_blob_name(member.name)
        if digest in kinds:
            found[digest] = _read_manifest(opened, member, digest)
    return found


def _read_manifest(opened: Opened, member: Member, digest: Digest) -> Manifest:
    raw, why = read_small(opened.source, member), "its bytes are not those of its name"
    try:
        if digest.matches(raw):
            return sketch(raw, opened.lock.manifests[digest], digest)
    except ManifestInvalid as error:
        why = str(error)
    raise BundleInvalid(
        opened.source.label, f"{digest} is damaged ({why}); see: entrepot bundle verify"
    )


class Survey:
    """Weighs the images of a bundle; what its unread manifests refer to is not counted. Pure."""

    def __init__(self, lock: Lock, manifests: Mapping[Digest, Manifest]) -> None:
        self._lock = lock
        self._manifests = manifests
        self._omitted = dict(lock.omitted)
        self._needs = {image.name: frozenset(self._reach(image)) for image in lock.images}
        roots = {image.root.digest: image.name for image in lock.images}
        self._users = Counter(each for name in roots.values() for each in self._needs[name])

    def _reach(self, image: LockedImage) -> Iterator[Digest]:
        """Yield the digests of all that an image needs, as far as it is to be in the bundle."""
        waiting = [image.root.digest, *(each.digest for each in image.referrers)]
        while waiting:
            digest = waiting.pop()
            yield digest
            manifest = self._manifests.get(digest)
            if manifest is not None:
                yield from (each.digest for each in manifest.blobs)
                waiting += [c.digest for c in manifest.children if c.digest in self._lock.manifests]

    def weigh(self, image: LockedImage) -> ImageSize:
        """Return what an image of the lock takes."""
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
        """Return what an image needs and the bundle leaves out."""
        needs = self._needs[image.name]
        return [(digest, size) for digest, size in self._lock.omitted if digest in needs]

    def has_manifest(self, image: LockedImage, digest: Digest) -> bool:
        """Whether a manifest comes along with an image: its root, one under it, or one about it."""
        return digest in self._needs[image.name] and digest in self._lock.manifests

    def list_heavy(self, count: int) -> list[LargestBlob]:
        """Return the largest blobs inside, the largest first."""
        largest = sorted(self._lock.blobs, key=lambda each: (-each[1], each[0]))[:count]
        return [
            LargestBlob(
                digest, size, tuple(name for name, needs in self._needs.items() if digest in needs)
            )
            for digest, size in largest
        ]
