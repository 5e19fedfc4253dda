"""Opening a source as a bundle: its small files are read and compared with each other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from registry.bundle.format.head_files import write_head, write_readme
from registry.bundle.format.lock import Lock, LockedImage, check_limits, parse_lock
from registry.bundle.format.tar import BlobMember, Member
from registry.bundle.read.sources import ENDS_EARLY, BundleSource, read_head
from registry.errors import BundleForeign, BundleInvalid
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, Manifest, parse_manifest

MAX_DEPTH = 8  # indexes of indexes; real ones have one level
SIGNATURE = "bundle.json.sig"


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle whose small files were read and agree with each other.

    `head` has the small files by name. `blobs` yields each blob once, in the order of the source:
    only blobs that the lock lists, with the sizes that the lock states.
    """

    source: BundleSource
    lock: Lock
    head: Mapping[str, bytes]
    blobs: Iterator[BlobMember]

    @property
    def signature(self) -> bytes:
        """The signature of the lock; empty if the bundle is not signed."""
        return self.head.get(SIGNATURE, b"")

    def find_changed(self, manifests: Mapping[Digest, Manifest]) -> list[str]:
        """Return sentences about small files that are not as they would be written for this lock.

        Files that depend on manifests are compared only if all manifests of the lock are given.
        """
        head = self.head.keys() - {SIGNATURE, "volume.json"}
        if self.source.count:
            right = {"bundle.json": self.lock.raw, "README.txt": write_readme(self.lock)}
        elif manifests.keys() >= self.lock.manifests.keys():
            right = write_head(self.lock, manifests)
        else:
            return []
        wrong = {name for name in right if self.head.get(name) != right[name]}
        return [
            f"{name} {'was changed' if name in self.head else 'is missing'}"
            for name in sorted(wrong | (head - right.keys()))
        ]


def open_bundle(source: BundleSource) -> Opened:
    """Read a bundle up to its first blob.

    Raises:
        BundleInvalid: no `bundle.json` comes before the blobs, or it cannot be used; or the source
            is a volume that was not opened as a volume.
        OSError: the source cannot be read.
    """
    head, members = read_head(source)
    if "volume.json" in head and not source.count:
        why = "it is a volume, which cannot be read from a stream; give its file"
        if source.shape == "folder":
            why = "it is a volume that was extracted; give the file of the volume"
        raise BundleInvalid(source.label, why)
    if "bundle.json" not in head:
        cure = "name the file that entrepot bundle create wrote"
        what = _explain_no_bundle(source, is_tar=bool(head))
        raise BundleInvalid(source.label, f"it is not a bundle ({what}); {cure}")
    lock = source.lock or parse_lock(head["bundle.json"])
    check_limits(lock)
    return Opened(source, lock, head, _check_blobs(source, lock, members))


def _explain_no_bundle(source: BundleSource, *, is_tar: bool) -> str:
    """Return why a source without `bundle.json` is no bundle; `is_tar` if it has other files."""
    flaws = [each.removeprefix(f"{source.label}: ") for each in source.flaws.messages[:1]]
    if is_tar or source.flaws.foreign or not flaws:
        return ": ".join(["it has no bundle.json before its blobs", *flaws])
    if flaws[0].startswith(f"{ENDS_EARLY}, at byte 0;"):
        return "nothing came through the pipe" if source.label == "stdin" else "it is empty"
    return "it is not a tar file"


def _check_blobs(
    source: BundleSource, lock: Lock, members: Iterator[Member]
) -> Iterator[BlobMember]:
    """Yield each blob that the lock lists once; note other members in `source.flaws`."""
    seen: set[Digest] = set()
    for member in members:
        why = f"{member.name} is not in bundle.json, or occurs twice"
        if isinstance(member, BlobMember) and not member.part and member.digest not in seen:
            size = lock.sizes.get(member.digest)
            if size == member.size:
                seen.add(member.digest)
                yield member
                continue
            if size is not None:
                why = f"{member.name} has {member.size} bytes instead of {size}"
        source.flaws.note(BundleForeign(source.label, why))


def parse_without_raw(raw: bytes, kind: str, digest: Digest) -> Manifest:
    """Parse a manifest of media type `kind`; the result does not keep the bytes.

    Raises:
        ManifestInvalid: the bytes are not a manifest of this media type.
    """
    return replace(parse_manifest(raw, kind, digest), raw=b"")


def find_contradictions(
    lock: Lock, manifests: Mapping[Digest, Manifest]
) -> dict[Digest, list[str]]:
    """Return sentences that say how manifests contradict the lock, by the digest of the manifest.

    Sentences about the root or a referrer of an image are listed under the digest of the root or
    referrer. An index may have children that the lock does not list, because a bundle may contain
    only some of the platforms.
    """
    sizes = lock.sizes | dict(lock.omitted)
    statements = [
        (each.digest, each, True)
        for image in lock.images
        for each in (image.root, *image.referrers)
    ]
    for digest, manifest in manifests.items():
        statements += [(digest, each, False) for each in manifest.blobs]
        statements += [(digest, each, True) for each in manifest.children if each.digest in sizes]
    found: dict[Digest, list[str]] = {}
    for owner, each, is_manifest in statements:
        kind = lock.manifests.get(each.digest) if is_manifest else each.media_type
        if why := _compare(each, sizes.get(each.digest), kind):
            found.setdefault(owner, []).append(why)
    for image in lock.images:
        index = manifests.get(image.root.digest)
        why = _compare_platforms(lock, image, index) if index and index.children else ""
        if index and why:
            found.setdefault(index.digest, []).append(why)
    for digest in _find_deep(manifests):
        found.setdefault(digest, []).append(f"more than {MAX_DEPTH} levels of indexes are below it")
    return found


def _compare_platforms(lock: Lock, image: LockedImage, index: Manifest) -> str:
    """Return a sentence if the lock has platforms that the index does not list; else ""."""
    inside = {
        index.platforms.get(str(child.digest))
        for child in index.children
        if child.digest in lock.manifests
    }
    false = [name for name in image.platforms if name not in inside]
    return f"bundle.json lists {', '.join(false)}, and the index does not" if false else ""


def _compare(descriptor: Descriptor, size: int | None, kind: str | None) -> str:
    """Return a sentence if a descriptor differs from the lock's size or media type; else ""."""
    digest, media_type = descriptor.digest, descriptor.media_type
    if size is None:
        return f"it refers to {digest}, which is not in bundle.json"
    if size != descriptor.size:
        return f"{digest} has {descriptor.size} bytes by the manifest, and {size} by bundle.json"
    if kind != media_type:
        return f"{digest} is {media_type!r:.99} by the manifest, and {kind!r:.99} by bundle.json"
    return ""


def _find_deep(manifests: Mapping[Digest, Manifest]) -> set[Digest]:
    """Return the manifests that have more than `MAX_DEPTH` levels of manifests below them."""
    level = set(manifests)
    for _ in range(MAX_DEPTH):
        level = {d for d in level if any(each.digest in level for each in manifests[d].children)}
    return level


Parents = Mapping[Digest, Sequence[Digest]]


def map_parents(manifests: Mapping[Digest, Manifest]) -> Parents:
    """Return for each blob and manifest the digests of the manifests that refer to it."""
    found: dict[Digest, list[Digest]] = {}
    for digest, manifest in manifests.items():
        for each in (*manifest.blobs, *manifest.children):
            found.setdefault(each.digest, []).append(digest)
    return found


def find_above(parents: Parents, digest: Digest) -> set[Digest]:
    """Return `digest`, its parents, the parents of its parents, and so on."""
    reached, waiting = {digest}, [digest]
    while waiting:
        above = {*parents.get(waiting.pop(), ())} - reached
        reached |= above
        waiting += above
    return reached


def list_users(lock: Lock, parents: Parents, digest: Digest) -> list[str]:
    """Return the names of the images that need a blob, according to the manifests in `parents`."""
    reached = find_above(parents, digest)
    return [
        image.name
        for image in lock.images
        if any(each.digest in reached for each in (image.root, *image.referrers))
    ]
