"""What a container of a bundle is made of: small files that are known, and bytes of a store."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from registry.bundle.archive import END, Member, lay_out, spell_blob
from registry.bundle.lock import Lock
from registry.errors import BundleInvalid
from registry.oci.digest import Digest
from registry.oci.span import Span
from registry.store.blobs import BlobStore


@dataclass(frozen=True, slots=True)
class Item:
    """A file made of a blob: the `size` bytes from `start` on, whose digest is `check`."""

    name: str
    blob: Digest
    start: int
    size: int
    check: Digest


@dataclass(frozen=True, slots=True)
class Contents:
    """All files of one archive or folder: first `head`, by name, then `items`, in order."""

    head: dict[str, bytes]
    items: tuple[Item, ...]
    store: BlobStore

    def list_members(self) -> Iterator[Member]:
        """Yield every file, in order, and where it will be in an archive."""
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
        """Yield every file and what it is made of; None for those of the head."""
        members = self.list_members()
        for _ in self.head:
            yield next(members), None
        yield from zip(members, self.items, strict=True)

    async def read(self, item: Item) -> AsyncIterator[bytes]:
        """Yield the bytes of an item, checked: the last piece only when all were right.

        Raises:
            StoreError: the blob is not in the store (any more).
            BundleInvalid: its bytes have changed on disk.
        """
        hasher, held = item.check.hasher(), b""
        async for piece in self.store.read(item.blob, Span(item.start, item.start + item.size)):
            hasher.update(piece)
            if held:
                yield held
            held = piece
        if hasher.hexdigest() != item.check.encoded:
            raise BundleInvalid(
                str(item.blob), "its bytes have changed on disk; run: entrepot cache audit"
            )
        if held:
            yield held


def list_whole(lock: Lock) -> tuple[Item, ...]:
    """Return the items of a bundle that is not cut."""
    return tuple(Item(spell_blob(digest), digest, 0, size, digest) for digest, size in lock.blobs)
