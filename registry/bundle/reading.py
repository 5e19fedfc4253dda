"""Reading a bundle, from whoever it comes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from registry.bundle.archive import Member, read_blob_name
from registry.bundle.lock import Lock, parse_lock
from registry.bundle.medium import Medium, VolumesMedium, read_small
from registry.bundle.views import write_head
from registry.errors import BundleInvalid, ManifestInvalid
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Manifest, parse_manifest

MAX_HEAD = 64 * 1024 * 1024  # bytes of the small files together
SIGNATURE = "bundle.json.sig"


@dataclass(frozen=True, slots=True)
class Opened:
    """The head of a bundle, read and checked against itself, and what follows it.

    `head` are its small files by name; `rest` yields its blobs, which are those of the lock.
    """

    medium: Medium
    lock: Lock
    head: Mapping[str, bytes]
    rest: Iterator[Member]

    @property
    def signature(self) -> bytes:
        """The signature over the lock; empty where there is none."""
        return self.head.get(SIGNATURE, b"")

    def find_lies(self, manifests: Mapping[Digest, Manifest]) -> list[str]:
        """Return the small files that do not say what the lock and the manifests say.

        `manifests` have to be those of the lock; of volumes, those files that they have count.
        """
        right = write_head(self.lock, manifests)
        if isinstance(self.medium, VolumesMedium):
            right = {name: content for name, content in right.items() if name in self.head}
        extra = self.head.keys() - right.keys() - {SIGNATURE, "volume.json"}
        return sorted({name for name in right if self.head.get(name) != right[name]} | extra)


def open_bundle(medium: Medium) -> Opened:
    """Read a bundle up to its first blob.

    Raises:
        BundleInvalid: it has no `bundle.json` before its blobs, or one that cannot be used.
        OSError: it cannot be read.
    """
    head: dict[str, bytes] = {}
    members = medium.list_members()
    first = None
    for member in members:
        if member.is_blob:
            first = member
            break
        if member.name in head:
            raise BundleInvalid(medium.label, f"{member.name} is there twice")
        head[member.name] = read_small(medium, member)
        if sum(map(len, head.values())) > MAX_HEAD:
            raise BundleInvalid(medium.label, f"its small files have more than {MAX_HEAD} bytes")
    if "bundle.json" not in head:
        raise BundleInvalid(
            medium.label, "it is no bundle: there is no bundle.json before its blobs"
        )
    lock = parse_lock(head["bundle.json"])
    if isinstance(medium, VolumesMedium) and medium.bundle_id != lock.bundle_id:
        raise BundleInvalid(medium.label, "its volumes are not of the bundle that they name")
    blobs = _check(medium.label, lock, first, members)
    return Opened(medium, lock, head, blobs)


def _check(
    label: str, lock: Lock, first: Member | None, others: Iterator[Member]
) -> Iterator[Member]:
    """Yield the blobs, which are those of the lock, each once, and of the size that it says."""
    seen: set[str] = set()
    member = first
    while member is not None:
        size = lock.sizes.get(read_blob_name(member.name)) if member.is_blob else None
        if size is None or member.name in seen:
            raise BundleInvalid(label, f"{member.name} is not in bundle.json, or is there twice")
        if size != member.size:
            raise BundleInvalid(label, f"{member.name} has {member.size} bytes instead of {size}")
        seen.add(member.name)
        yield member
        member = next(others, None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying found: damaged and missing blobs, and what else is wrong."""

    damaged: tuple[Digest, ...] = ()
    missing: tuple[Digest, ...] = ()
    wrong: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether everything was right."""
        return not (self.damaged or self.missing or self.wrong)


def verify(opened: Opened) -> Verdict:
    """Read every byte; a container that cannot be read on to its end ends the reading."""
    right: set[Digest] = set()
    damaged: list[Digest] = []
    manifests: dict[Digest, Manifest] = {}
    wrong: list[str] = []
    try:
        for member in opened.rest:
            digest = read_blob_name(member.name)
            kind = opened.lock.manifests.get(digest)
            is_right, raw = _read_blob(opened.medium, member, digest, kind is not None)
            (right.add if is_right else damaged.append)(digest)
            if kind is not None and is_right:
                manifests[digest] = sketch(raw, kind, digest)
    except (BundleInvalid, ManifestInvalid, OSError) as error:
        wrong.append(str(error))
    missing = tuple(digest for digest, _ in opened.lock.blobs if digest not in {*right, *damaged})
    if manifests.keys() == opened.lock.manifests.keys():
        wrong += [f"{name} is not as it was made" for name in opened.find_lies(manifests)]
    return Verdict(tuple(damaged), missing, tuple(wrong))


def _read_blob(
    medium: Medium, member: Member, digest: Digest, is_wanted: bool
) -> tuple[bool, bytes]:
    hasher, kept = digest.hasher(), []
    for piece in medium.read(member):
        hasher.update(piece)
        if is_wanted and member.size <= MAX_MANIFEST:
            kept.append(piece)
    return hasher.hexdigest() == digest.encoded, b"".join(kept)


def sketch(raw: bytes, kind: str, digest: Digest) -> Manifest:
    """Return a manifest without its bytes: what it refers to, which is all the head depends on.

    Raises:
        ManifestInvalid: it is none of that kind.
    """
    return replace(parse_manifest(raw, kind, digest), raw=b"")


def list_users(lock: Lock, manifests: Mapping[Digest, Manifest], digest: Digest) -> Sequence[str]:
    """Return the names of the images that need a blob, as far as their manifests are known."""

    def needs(root: Digest) -> bool:
        manifest = manifests.get(root)
        if root == digest or manifest is None:
            return root == digest
        return any(each.digest == digest for each in manifest.blobs) or any(
            needs(child.digest) for child in manifest.children
        )

    return [
        image.name
        for image in lock.images
        if any(needs(each.digest) for each in (image.root, *image.referrers))
    ]
