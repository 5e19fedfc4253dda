"""The contracts of blob stores: whole, verified content by digest.

`tests/contract/test_blob_store.py` is run over every implementation. A store that can only be read
is a `BlobReader`; a data folder's store keeps all four contracts.
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
    """An open blob in local files, to be sent by the kernel; close it after use.

    Its `size` bytes begin at byte `start` of the file. If the blob is cut over several files, the
    bytes that are not in this one are in `rest`.
    """

    descriptor: int
    size: int
    start: int = 0
    rest: "FileBody | None" = None

    def slices(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield where the bytes `start` to `stop` of the blob are: a descriptor, from and to."""
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
        """Tell the store that this body is not read any more."""
        self.release()


Body = FileBody | ChunkBody  # of an open blob; it stays readable when the blob is deleted


class BlobReader(Protocol):
    """Whole blobs to read. Each was verified when it was stored, and never changes."""

    async def stat(self, digest: Digest) -> int | None:
        """Return the size in bytes; None when the blob is not here."""
        ...

    def read(self, digest: Digest, span: Span) -> AsyncIterator[bytes]:
        """Yield the bytes of `span` in pieces of at most 1 MiB.

        Raises:
            StoreError: the blob is not here, is shorter than the span, or cannot be read.
        """
        ...

    async def open(self, digest: Digest) -> Body | None:
        """Return the open blob, to be sent from; None when it is not here.

        While a blob is open, `InUse.claim` says false for it.

        Raises:
            StoreError: the blob cannot be read.
        """
        ...

    def scan(self, after: str = "") -> AsyncIterator[tuple[Digest, int]]:
        """Yield every blob with its size in bytes, in the order of digests (as text).

        Digests up to `after`, which is a digest as text, are left out.
        """
        ...


class BlobStore(BlobReader, Protocol):
    """Whole blobs to read, to which others are added, and from which they are deleted."""

    async def adopt(self, part: SealedPartial) -> None:
        """Move a verified partial file into the store, durably.

        Adopting a blob that is here already is harmless.

        Raises:
            StoreError: the disk refused; the partial file is still where it was.
        """
        ...

    async def delete(self, digest: Digest) -> bool:
        """Delete a blob; who has it open reads it to its end. False when it was not here."""
        ...


class InUse(Protocol):
    """A store that knows which of its blobs are being read, by any process."""

    def claim(self, digest: Digest) -> AbstractContextManager[bool]:
        """Say, before a blob is deleted, whether it is here and no process reads it.

        A reader that opens the blob during the body of the `with` may be reading a deleted blob,
        and reads it to its end.
        """
        ...


class Quarantine(Protocol):
    """A place for damaged blobs: they are out of the store, and their bytes are still there."""

    async def quarantine(self, digest: Digest) -> None:
        """Move a blob out of the store, into quarantine; harmless when it is not here.

        Raises:
            OSError: the disk refused.
        """
        ...

    async def is_quarantined(self, digest: Digest) -> bool:
        """Whether a blob is in quarantine."""
        ...

    async def delete_quarantined(self, digest: Digest) -> None:
        """Delete a blob that is in quarantine; harmless when it is not."""
        ...

    def scan_quarantined(self) -> AsyncIterator[tuple[Digest, int]]:
        """Yield every blob that is in quarantine, with its size in bytes."""
        ...


class ManagedStore(BlobStore, InUse, Quarantine, Protocol):
    """The store of a data folder: blobs are added, read, evicted, and put into quarantine."""
