"""The contract of a blob store: whole, verified content by digest, and nothing else.

Any implementation passes `tests/contract/test_blob_store.py`. Few methods on purpose: a store that
would have to pretend (a symlink, a partial file) shows that the contract is wrong.
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

    Its `size` bytes begin at byte `start` of the file; those that are not in it any more, where a
    blob is cut, are in `rest`.
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
        """Give the descriptors back."""
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
            StoreError: the store refused.
        """
        return self.read(Span(start, stop))

    def close(self) -> None:
        """Tell the store that nobody reads this body any more."""
        self.release()


Body = FileBody | ChunkBody  # of an open blob; it stays readable when the blob is deleted


class BlobReader(Protocol):
    """Whole blobs to read; what is in here has been verified once and is never changed."""

    async def stat(self, digest: Digest) -> int | None:
        """Return the size in bytes; None means surely not here."""
        ...

    def read(self, digest: Digest, span: Span) -> AsyncIterator[bytes]:
        """Yield the bytes of `span` in pieces of at most 1 MiB.

        Raises:
            StoreError: the blob is not here, is shorter than the span, or the disk refused.
        """
        ...

    async def open(self, digest: Digest) -> Body | None:
        """Return the open blob, to be sent from; None when it is not here.

        As long as it is open the blob is claimed in vain.

        Raises:
            StoreError: the disk refused.
        """
        ...

    def scan(self, after: str = "") -> AsyncIterator[tuple[Digest, int]]:
        """Yield every blob here with its size in bytes, in the order of digests (as text).

        Those up to `after`, a digest in text, are left out.
        """
        ...


class BlobStore(BlobReader, Protocol):
    """Whole blobs that are also taken in, set aside and deleted."""

    async def adopt(self, part: SealedPartial) -> None:
        """Take over a verified spool file, durably; adopting what is already here is harmless.

        Raises:
            StoreError: the disk refused; the part is then still in the spool.
        """
        ...

    async def delete(self, digest: Digest) -> bool:
        """Forget a blob; whoever is reading it goes on. False when it was not here."""
        ...

    async def quarantine(self, digest: Digest) -> None:
        """Take a blob out of the store without deleting its bytes; harmless when it is not here.

        Raises:
            OSError: the disk refused.
        """
        ...

    async def delete_quarantined(self, digest: Digest) -> None:
        """Delete the bytes of a blob that was set aside; harmless when there are none."""
        ...

    def scan_quarantined(self) -> AsyncIterator[tuple[Digest, int]]:
        """Yield every blob that was set aside and not discarded, with its size in bytes."""
        ...

    def claim(self, digest: Digest) -> AbstractContextManager[bool]:
        """Ask, before deleting, whether the blob is here and nobody reads it, in any process.

        Who opens it from then on may be reading what is deleted, and reads it to the end.
        """
        ...
