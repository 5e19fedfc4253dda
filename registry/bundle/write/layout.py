"""The files of an archive or folder of a bundle: small files, and blobs from a store."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass

from registry.bundle.format.head_files import add_signature, write_head
from registry.bundle.format.lock import Lock, check_limits
from registry.bundle.format.tar import END, Member, format_blob_name, lay_out, measure
from registry.bundle.format.volumes import Part, Piece, Volume, cut
from registry.errors import BundleInvalid
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.store.contract import BlobReader

_REPEATED = ("bundle.json", "bundle.json.sig", "README.txt")  # in every volume


@dataclass(frozen=True, slots=True)
class Item:
    """A file with a blob or a part of it: `size` bytes from `start` on, with the digest `check`."""

    name: str
    blob: Digest
    start: int
    size: int
    check: Digest


@dataclass(frozen=True, slots=True)
class Contents:
    """All files of one archive or folder: first the small files `head` by name, then `items`."""

    head: dict[str, bytes]
    items: tuple[Item, ...]
    store: BlobReader

    def list_members(self) -> Iterator[Member]:
        """Yield every file, in order, with its place in an archive."""
        yield from lay_out(self._list_files())

    def _list_files(self) -> Iterator[tuple[str, int]]:
        for name, content in self.head.items():
            yield name, len(content)
        for item in self.items:
            yield item.name, item.size

    def measure(self) -> int:
        """Return how many bytes the archive takes."""
        *_, last = self.list_members()
        return last.end + len(END)

    def list_items(self) -> Iterator[tuple[Member, Item | None]]:
        """Yield every file with its place and its item, which is None for a small file."""
        members = self.list_members()
        for _ in self.head:
            yield next(members), None
        yield from zip(members, self.items, strict=True)

    async def read(self, item: Item) -> AsyncIterator[bytes]:
        """Yield the bytes of an item; the last piece comes after the digest `check` was compared.

        Raises:
            StoreError: the blob is not in the store, or cannot be read.
            BundleInvalid: its bytes have changed on disk.
        """
        hasher, held = item.check.hasher(), b""
        async for piece in self.store.read(item.blob, Span(item.start, item.start + item.size)):
            hasher.update(piece)
            if held:
                yield held
            held = piece
        if hasher.hexdigest() != item.check.encoded:
            raise _refuse(item.blob)
        if held:
            yield held


def _refuse(digest: Digest) -> BundleInvalid:
    return BundleInvalid(str(digest), "its bytes have changed on disk; run: entrepot cache audit")


@dataclass(frozen=True, slots=True)
class PackedBundle:
    """A bundle that can be written: its lock, its small files, and the store with its blobs.

    The first `first` blobs of the lock are manifests and configs.
    """

    lock: Lock
    head: dict[str, bytes]
    store: BlobReader
    first: int

    async def fill(self, limit: int | None = None) -> list[Contents]:
        """Return the files of the one archive or folder, or of each volume of `limit` bytes.

        Blobs that are larger than a volume are read, to compute the digests of their parts.

        Raises:
            VolumeTooSmall: the small files of every volume leave too little space for blobs.
            StoreError: a blob that is cut could not be read.
            BundleInvalid: its bytes have changed on disk.
        """
        if limit is None:
            return [Contents(self.head, list_whole(self.lock), self.store)]
        repeated = {name: self.head[name] for name in _REPEATED if name in self.head}
        cost = sum(measure(name, len(content)) for name, content in repeated.items())
        volumes = cut(self.lock.blobs, self.first, cost, limit)
        checks = await self._hash_parts(piece for pieces in volumes for piece in pieces)
        filled = []
        for number, pieces in enumerate(volumes, 1):
            items = [
                Item(each.name, each.digest, each.start, each.size, checks.get(each, each.digest))
                for each in pieces
            ]
            parts = {
                item.name: Part(item.check, item.start, item.size, self.lock.sizes[item.blob])
                for item, piece in zip(items, pieces, strict=True)
                if piece.part
            }
            volume = Volume(self.lock.bundle_id, number, len(volumes), parts)
            filled.append(
                Contents({"volume.json": volume.raw} | repeated, tuple(items), self.store)
            )
        return filled

    async def _hash_parts(self, pieces: Iterable[Piece]) -> dict[Piece, Digest]:
        """Return the digest of each part of a cut blob; also check the digest of the whole blob."""
        found: dict[Piece, Digest] = {}
        parts = sorted((each for each in pieces if each.part), key=lambda each: each.start)
        wholes = {each.digest: each.digest.hasher() for each in parts}
        for piece in parts:
            hasher = hashlib.sha256()
            span = Span(piece.start, piece.start + piece.size)
            async for content in self.store.read(piece.digest, span):
                hasher.update(content)
                wholes[piece.digest].update(content)
            found[piece] = Digest(f"sha256:{hasher.hexdigest()}")
        for digest, whole in wholes.items():
            if whole.hexdigest() != digest.encoded:
                raise _refuse(digest)
        return found


def pack(
    lock: Lock, manifests: Mapping[Digest, Manifest], store: BlobReader, signature: bytes = b""
) -> PackedBundle:
    """Prepare a bundle for writing; `manifests` are all manifests of the lock.

    Raises:
        BundleInvalid: the bundle exceeds the limits of the programs that read it.
    """
    check_limits(lock)
    head = write_head(lock, manifests)
    configs = {manifest.blobs[0].digest for manifest in manifests.values() if manifest.blobs}
    early = configs | manifests.keys()
    first = sum(digest in early for digest, _ in lock.blobs)
    return PackedBundle(lock, add_signature(head, signature) if signature else head, store, first)


async def read_manifests(lock: Lock, store: BlobReader) -> dict[Digest, Manifest]:
    """Read all manifests of a lock from a store, and check the digest of each.

    Raises:
        StoreError, BundleInvalid: a manifest is not in the store, or has another digest.
        ManifestInvalid: a manifest cannot be parsed.
    """
    found = {}
    for digest, kind in lock.manifests.items():
        item = Item(format_blob_name(digest), digest, 0, lock.sizes[digest], digest)
        raw = b"".join([piece async for piece in Contents({}, (), store).read(item)])
        found[digest] = parse_manifest(raw, kind, digest)
    return found


def list_whole(lock: Lock) -> tuple[Item, ...]:
    """Return the items of a bundle that is not cut."""
    return tuple(
        Item(format_blob_name(digest), digest, 0, size, digest) for digest, size in lock.blobs
    )
