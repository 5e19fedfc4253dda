"""The contracts of blob stores: whole, verified content by digest.

`tests/contract/test_blob_store.py` is run with every implementation. A store that can only be read
is a `BlobReader`; the store of a data folder implements all four contracts.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.partial import SealedPartial


@dataclass(frozen=True, slots=True)
class FileBody:
    """An open blob in local files, which the kernel can send; close it after use.

    Its `size` bytes begin at byte `start` of the file. If the blob is cut over several files,
    `rest` has the bytes in the other files.
    """

    descriptor: int
    size: int
    start: int = 0
    rest: "FileBody | None" = None

    def slices(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield the places of the bytes `start` to `stop`: descriptor, and range in the file."""
        own = self.size - (self.rest.size if self.rest is not None else 0)
        if start < own:
            yield self.descriptor, self.start + start, self.start + min(stop, own)
        if self.rest is not None and stop > own:
            yield from self.rest.slices(max(start - own, 0), stop - own)

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.descriptor)
        if self.rest is not None:
            self.rest.close()


@dataclass(frozen=True, slots=True)
class ChunkBody:
    """An open blob of a store that has no local files; close it after use.

    `read` yields the bytes of a span; `release` is called once, when the body is closed.
    """

    size: int
    read: Callable[[Span], AsyncIterator[bytes]]
    release: Callable[[], None]

    def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the bytes `start` to `stop` of the blob, in pieces of at most 1 MiB.

        Raises:
            StoreError: the store cannot be read.
        """
        return self.read(Span(start, stop))

    def close(self) -> None:
        """Notify the store that this body is not read any more."""
        self.release()


Body = FileBody | ChunkBody  # of an open blob; it stays readable when the blob is deleted


class BlobReader(Protocol):
    """Whole blobs to read. Each was verified when it was stored, and never changes."""

    async def stat(self, digest: Digest) -> int | None:
        """Return the size in bytes; None if the blob is not in the store."""
        ...

    def read(self, digest: Digest, span: Span) -> AsyncIterator[bytes]:
        """Yield the bytes of `span` in pieces of at most 1 MiB.

        Raises:
            StoreError: the blob is not in the store, is shorter than the span, or cannot be read.
        """
        ...

    async def open(self, digest: Digest) -> Body | None:
        """Open a blob for sending; None if it is not in the store.

        While a blob is open, `InUse.claim` yields false for it.

        Raises:
            StoreError: the blob cannot be read.
        """
        ...

    def scan(self, after: str = "") -> AsyncIterator[tuple[Digest, int]]:
        """Yield every blob with its size in bytes, in the order of digests (as text).

        Only digests after `after` (a digest as text) are yielded.
        """
        ...


class BlobStore(BlobReader, Protocol):
    """A store whose blobs can be read, added and deleted."""

    async def adopt(self, part: SealedPartial) -> None:
        """Move a verified partial file into the store, durably.

        The blob may already be in the store.

        Raises:
            StoreError: the disk refused; the partial file is still where it was.
        """
        ...

    async def delete(self, digest: Digest) -> bool:
        """Delete a blob; open readers can still read it to its end. False if it was not there."""
        ...


class InUse(Protocol):
    """A store that knows which of its blobs any process is reading."""

    def claim(self, digest: Digest) -> AbstractContextManager[bool]:
        """Yield whether a blob may be deleted: it is in the store, and no process reads it.

        A reader may still open the blob during the body of the `with`. It can then read the deleted
        blob to its end.
        """
        ...


class Quarantine(Protocol):
    """A store that can move damaged blobs to quarantine, where their bytes are kept."""

    async def quarantine(self, digest: Digest) -> None:
        """Move a blob out of the store into quarantine; do nothing if it is not in the store.

        Raises:
            OSError: the disk refused.
        """
        ...

    async def is_quarantined(self, digest: Digest) -> bool:
        """Whether a blob is in quarantine."""
        ...

    async def delete_quarantined(self, digest: Digest) -> None:
        """Delete a blob from quarantine; do nothing if it is not there."""
        ...

    def scan_quarantined(self) -> AsyncIterator[tuple[Digest, int]]:
        """Yield every blob that is in quarantine, with its size in bytes."""
        ...


class ManagedStore(BlobStore, InUse, Quarantine, Protocol):
    """The store of a data folder: blobs can be added, read, evicted, and quarantined."""
