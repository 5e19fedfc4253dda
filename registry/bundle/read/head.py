"""Reading a bundle, from whoever it comes: its head, and then whether it tells the truth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from registry.bundle.format.head_files import write_head, write_readme
from registry.bundle.format.lock import Lock, LockedImage, parse_lock, refuse_bomb
from registry.bundle.format.tar import Member, read_blob_name
from registry.bundle.read.sources import BundleSource, read_small
from registry.bundle.read.volume_source import VolumeSource
from registry.errors import BundleInvalid
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, Manifest, parse_manifest

MAX_HEAD = 64 * 1024 * 1024  # bytes of the small files together
MAX_DEPTH = 8  # indexes of indexes; real ones have one level
SIGNATURE = "bundle.json.sig"


@dataclass(frozen=True, slots=True)
class Opened:
    """The head of a bundle, read and checked against itself, and what follows it.

    `head` are its small files by name; `rest` yields its blobs, which are those of the lock.
    """

    source: BundleSource
    lock: Lock
    head: Mapping[str, bytes]
    rest: Iterator[Member]

    @property
    def signature(self) -> bytes:
        """The signature over the lock; empty where there is none."""
        return self.head.get(SIGNATURE, b"")

    def find_lies(self, manifests: Mapping[Digest, Manifest]) -> list[str]:
        """Return the small files that do not say what the lock and the manifests say.

        Those that need manifests are only compared where all of the lock's are given.
        """
        head = self.head.keys() - {SIGNATURE, "volume.json"}
        if isinstance(self.source, VolumeSource):
            right = {"bundle.json": self.lock.raw, "README.txt": write_readme(self.lock)}
        elif manifests.keys() >= self.lock.manifests.keys():
            right = write_head(self.lock, manifests)
        else:
            return []
        return sorted(
            {name for name in right if self.head.get(name) != right[name]} | (head - right.keys())
        )


def open_bundle(source: BundleSource) -> Opened:
    """Read a bundle up to its first blob.

    Raises:
        BundleInvalid: it has no `bundle.json` before its blobs, or one that cannot be used; or it
            is a volume that is not read as one.
        OSError: it cannot be read.
    """
    head: dict[str, bytes] = {}
    members = source.list_members()
    first = None
    for member in members:
        if member.is_blob:
            first = member
            break
        if member.name in head:
            raise BundleInvalid(source.label, f"{member.name} is there twice")
        head[member.name] = read_small(source, member)
        if sum(map(len, head.values())) > MAX_HEAD:
            raise BundleInvalid(source.label, f"its small files have more than {MAX_HEAD} bytes")
    if "volume.json" in head and not isinstance(source, VolumeSource):
        raise BundleInvalid(
            source.label, "it is a volume, which cannot be read from a stream; give its file"
        )
    if "bundle.json" not in head:
        told = "".join(f" ({why})" for why in source.flaws.told[:1])
        raise BundleInvalid(
            source.label, f"it is no bundle: there is no bundle.json before its blobs{told}"
        )
    lock = parse_lock(head["bundle.json"])
    refuse_bomb(lock)
    return Opened(source, lock, head, _check(source, lock, first, members))


def _check(
    source: BundleSource, lock: Lock, first: Member | None, others: Iterator[Member]
) -> Iterator[Member]:
    """Yield the blobs which are those of the lock, each once, and of the size that it says."""
    seen: set[str] = set()
    member = first
    while member is not None:
        size = lock.sizes.get(read_blob_name(member.name)) if member.is_blob else None
        if size is None or member.name in seen or "." in member.name:
            why = f"{member.name} is not in bundle.json, or is there twice"
            source.flaws.note(BundleInvalid(source.label, why))
        elif size != member.size:
            why = f"{member.name} has {member.size} bytes instead of {size}"
            source.flaws.note(BundleInvalid(source.label, why))
        else:
            seen.add(member.name)
            yield member
        member = next(others, None)


def sketch(raw: bytes, kind: str, digest: Digest) -> Manifest:
    """Return a manifest without its bytes: what it refers to, which is all the head depends on.

    Raises:
        ManifestInvalid: it is none of that kind.
    """
    return replace(parse_manifest(raw, kind, digest), raw=b"")


def find_contradictions(
    lock: Lock, manifests: Mapping[Digest, Manifest]
) -> dict[Digest, list[str]]:
    """Return what manifests say that the lock denies, by the digest of the manifest that says it.

    What a lock says of the root of an image stands under the root's digest. Children of an index
    that the lock does not have are no contradiction: nobody promised them.
    """
    sizes = lock.sizes | dict(lock.omitted)
    said = [
        (each.digest, each, True)
        for image in lock.images
        for each in (image.root, *image.referrers)
    ]
    for digest, manifest in manifests.items():
        said += [(digest, each, False) for each in manifest.blobs]
        said += [(digest, each, True) for each in manifest.children if each.digest in sizes]
    found: dict[Digest, list[str]] = {}
    for owner, each, is_manifest in said:
        kind = lock.manifests.get(each.digest) if is_manifest else each.media_type
        why = _deny(each, sizes.get(each.digest), kind)
        if why:
            found.setdefault(owner, []).append(why)
    for image in lock.images:
        index = manifests.get(image.root.digest)
        if index is not None and index.children:
            lies = _find_false_platforms(lock, image, index)
            if lies:
                found.setdefault(index.digest, []).append(lies)
    for digest in _find_deep(manifests):
        found.setdefault(digest, []).append(f"indexes lie more than {MAX_DEPTH} deep in each other")
    return found


def _find_false_platforms(lock: Lock, image: LockedImage, index: Manifest) -> str:
    """Say which platforms the lock claims to be inside that are not, by the index itself."""
    inside = {
        index.platforms.get(str(child.digest))
        for child in index.children
        if child.digest in lock.manifests
    }
    false = [name for name in image.platforms if name not in inside]
    return f"{', '.join(false)} is inside by bundle.json, and not by the index" if false else ""


def _deny(said: Descriptor, size: int | None, kind: str | None) -> str:
    if size is None:
        return f"{said.digest} is not in bundle.json"
    if size != said.size:
        return f"{said.digest} is said to have {said.size} bytes, and {size} by bundle.json"
    if kind != said.media_type:
        return f"{said.digest} is called {said.media_type!r:.99}, and {kind!r:.99} by bundle.json"
    return ""


def _find_deep(manifests: Mapping[Digest, Manifest]) -> set[Digest]:
    """Return the manifests that have too many levels below them, level by level."""
    level = set(manifests)
    for _ in range(MAX_DEPTH):
        level = {d for d in level if any(each.digest in level for each in manifests[d].children)}
    return level


Parents = Mapping[Digest, Sequence[Digest]]


def map_parents(manifests: Mapping[Digest, Manifest]) -> Parents:
    """Return which manifests refer to a blob or manifest, by its digest."""
    found: dict[Digest, list[Digest]] = {}
    for digest, manifest in manifests.items():
        for each in (*manifest.blobs, *manifest.children):
            found.setdefault(each.digest, []).append(digest)
    return found


def find_above(parents: Parents, digest: Digest) -> set[Digest]:
    """Return a digest, and those of all manifests that lead to it."""
    reached, waiting = {digest}, [digest]
    while waiting:
        above = {*parents.get(waiting.pop(), ())} - reached
        reached |= above
        waiting += above
    return reached


def list_users(lock: Lock, parents: Parents, digest: Digest) -> list[str]:
    """Return the names of the images that need a blob, as far as their manifests are known."""
    reached = find_above(parents, digest)
    return [
        image.name
        for image in lock.images
        if any(each.digest in reached for each in (image.root, *image.referrers))
    ]
