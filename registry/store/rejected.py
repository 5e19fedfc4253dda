"""The bytes of a rejected partial file, to find the wrong ones and to use the right ones."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.files import translate_errors

_PIECE = 1024 * 1024  # bytes read at a time


class RejectedBytes:
    """The bytes of a rejected file, and others that were received for some spans of it.

    The rejected file is never changed: a reader that has wrong bytes of it must not get right ones
    after them. The others are in a file without a name. All methods that read or write block.
    """

    def __init__(self, descriptor: int, held: bytes, folder: Path) -> None:
        """`descriptor` is that of the file, without its last bytes `held`; this closes it.

        Raises:
            StoreError: the disk refuses a file in `folder`.
        """
        self._descriptor = descriptor
        self._folder = folder
        self._held = held
        self._stop = os.fstat(descriptor).st_size
        self.size = self._stop + len(held)
        try:
            with translate_errors(folder), tempfile.TemporaryFile(dir=folder) as file:
                self._others = os.dup(file.fileno())
        except BaseException:
            os.close(descriptor)
            raise

    def read(self, span: Span) -> bytes:
        """Read the rejected bytes of a span."""
        data = os.pread(self._descriptor, span.length, span.start)
        return data + self._held if span.stop > self._stop else data

    def differs_from(self, read: Callable[[Span], bytes], span: Span) -> bool:
        """Whether the rejected bytes of a span are others than those that `read` returns."""
        return any(self.read(piece) != read(piece) for piece in _cut(span))

    def put_beside(self, offset: int, data: bytes) -> bool:
        """Keep other bytes for a span; return whether they differ from the rejected ones.

        Raises:
            StoreError: the disk refuses them.
        """
        with translate_errors(self._folder):
            os.pwrite(self._others, data, offset)
        return data != self.read(Span(offset, offset + len(data)))

    def pieces(self, replaced: Iterable[Span]) -> Iterator[bytes]:
        """Yield all bytes in order, with the other bytes in the spans that are `replaced`."""
        at = 0
        for span in sorted(replaced):
            yield from self._read_pieces(Span(at, span.start))
            for start in range(span.start, span.stop, _PIECE):
                length = min(_PIECE, span.stop - start)
                yield os.pread(self._others, length, start)
            at = span.stop
        yield from self._read_pieces(Span(at, self.size))

    def _read_pieces(self, span: Span) -> Iterator[bytes]:
        for piece in _cut(span):
            yield self.read(piece)

    def has_digest(self, digest: Digest, replaced: Iterable[Span]) -> bool:
        """Whether all bytes have this digest, with the other bytes in the `replaced` spans."""
        hasher = digest.hasher()
        for piece in self.pieces(replaced):
            hasher.update(piece)
        return hasher.hexdigest() == digest.encoded

    def close(self) -> None:
        """Close both files, whose bytes are then lost."""
        os.close(self._descriptor)
        os.close(self._others)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _cut(span: Span) -> Iterator[Span]:
    for start in range(span.start, span.stop, _PIECE):
        yield Span(start, min(start + _PIECE, span.stop))
