"""Partial files: a blob that is not whole yet, with one writer and any number of readers.

The file is append-only, and its last byte is written only after the digest was checked. The mode
and the link count of the inode are the state of the file. Every process that has the file open can
read them, even after the file was renamed or unlinked (decision record 0002):

    mode 0600, linked      growing
    mode 0444              whole: verified, every byte can be read
    mode 0400              rejected: its bytes do not agree with the digest
    mode 0600, no link     abandoned: the disk refused, or the writer began again in another file

After a crash at any point, the next writer can continue the file, or there is no file.
"""

import errno
import math
import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Self

from registry.errors import DigestMismatch
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.files import leads_to, refuse, take_lock, translate_errors
from registry.store.parallel_hash import ParallelHash
from registry.store.portions import cut_portions
from registry.store.rejected import RejectedBytes

WHOLE = 0o444  # the mode of a verified file; its owner can read and lock it after a crash
_REJECTED, _GROWING = 0o400, 0o600
_REHASH = 1024 * 1024  # bytes read at a time when existing bytes are hashed


class PartialState(Enum):
    """The state of a partial file, as its inode says."""

    GROWING = "growing"
    WHOLE = "whole"
    REJECTED = "rejected"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Progress:
    """How many bytes can be read (`written`), and whether more bytes will follow (`state`).

    `touched` is when the writer gave the last sign of life, by the clock of the file system: when
    the inode was changed, by bytes or by `PartialWriter.touch`.
    """

    written: int
    state: PartialState
    touched: int = field(default=0, compare=False)  # nanoseconds


@dataclass(frozen=True, slots=True)
class SealedPartial:
    """A verified file that a store has not adopted yet; `size` in bytes."""

    path: Path
    digest: Digest
    size: int


class PartialReader:
    """A reader's own descriptor of a partial file; it works after a rename or unlink too."""

    def __init__(self, path: Path) -> None:
        """Open `path`.

        Raises:
            FileNotFoundError: there is no such file (any more).
        """
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor, for `sendfile`."""
        return self._descriptor

    def progress(self) -> Progress:
        """Read the state from the inode, with one system call and without a path."""
        inode = os.fstat(self._descriptor)
        mode = inode.st_mode & 0o777
        if mode == WHOLE:
            return Progress(inode.st_size, PartialState.WHOLE)
        if mode == _REJECTED:
            return Progress(inode.st_size, PartialState.REJECTED)
        state = PartialState.GROWING if inode.st_nlink else PartialState.ABANDONED
        return Progress(inode.st_size, state, inode.st_ctime_ns)

    def read(self, offset: int, length: int) -> bytes:
        """Read at most `length` bytes at `offset`."""
        return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PartialWriter:
    """The only writer of a partial file; it holds the lock as long as `descriptor` is open.

    All methods block: call them in a thread, one at a time. The last byte received is kept in
    memory, and written only after the digest was checked.
    """

    def __init__(self, path: Path, digest: Digest, descriptor: int) -> None:
        self._path = path
        self._digest = digest
        self._descriptor = descriptor
        self._hasher = digest.hasher()
        self._held = b""
        self.written = 0

    @property
    def received(self) -> int:
        """The number of bytes received, including the byte that is kept in memory."""
        return self.written + len(self._held)

    @property
    def is_right(self) -> bool:
        """Whether the bytes received are the whole blob, because they have its digest."""
        return self._hasher.hexdigest() == self._digest.encoded

    @property
    def is_fresh(self) -> bool:
        """Whether the file is in the state "growing", and empty."""
        state = os.fstat(self._descriptor)
        return not state.st_size and state.st_mode & 0o777 == _GROWING

    @property
    def is_growing(self) -> bool:
        """Whether the file may be written to; false if a crash left it whole or rejected."""
        return os.fstat(self._descriptor).st_mode & 0o777 == _GROWING

    def resume(self, most: float = math.inf) -> int:
        """Hash `most` of the bytes that an earlier writer has written, and return how many it were.

        They follow those that this writer has hashed; 0 is the end. Call this before `append`.
        """
        with suppress(OSError):  # this writer has only begun, however old the bytes are
            os.utime(self._descriptor)
        start = self.written
        while self.written - start < most:
            size = int(min(_REHASH, most - (self.written - start)))
            block = os.pread(self._descriptor, size, self.written)
            if not block:
                break
            self._hasher.update(block)
            self.written += len(block)
        return self.written - start

    def read(self, span: Span) -> bytes:
        """Return bytes that this writer has received."""
        data = os.pread(self._descriptor, span.length, span.start)
        return data + self._held if span.stop > self.written else data

    def restart(self) -> None:
        """Begin again with an empty file, before this writer has appended anything.

        The path gets a new file, and the old file is abandoned: a reader that has read wrong bytes
        must not get right bytes after them.

        Raises:
            StoreError: the disk refuses new files.
        """
        if not self.is_fresh:
            with translate_errors(self._path):
                self._replace_file()
        self._hasher, self._held, self.written = self._digest.hasher(), b"", 0

    def _replace_file(self) -> None:
        # The new file is locked before it gets its final name, so no other process can write it.
        fresh = self._path.with_suffix(".fresh")
        fresh.unlink(missing_ok=True)
        descriptor = take_lock(fresh)
        if descriptor is None:
            why = "is locked, though only the writer of the blob may lock it"
            raise BlockingIOError(errno.EAGAIN, why, str(fresh))
        try:
            fresh.replace(self._path)
        except OSError:
            os.close(descriptor)
            raise
        former, self._descriptor = self._descriptor, descriptor
        os.close(former)

    def append(self, chunks: Iterable[bytes]) -> None:
        """Hash and write non-empty `chunks` in order, except the very last byte.

        Raises:
            StoreError: the disk refused (full, gone); the written bytes stay valid for readers.
        """
        for portion in cut_portions(chunks):
            self._append(portion, self._hasher.update)

    def receive(self, receive: Callable[[Callable[[memoryview], None]], None]) -> None:
        """Do as `append` with each piece that `receive` passes to its argument.

        Large pieces are hashed in another thread: the memory of a piece must not change before the
        next call of the argument has returned, or `receive` has.
        """
        with ParallelHash(self._hasher) as parallel:
            receive(lambda piece: self._append([piece], parallel.update))

    def _append(self, portion: list[memoryview], update: Callable[[memoryview], None]) -> None:
        for piece in portion:
            update(piece)
        last = portion[-1]
        pieces = [memoryview(self._held), *portion[:-1], last[:-1]]
        self._held = bytes(last[-1:])
        self._write([piece for piece in pieces if piece.nbytes])

    def _write(self, pieces: list[memoryview]) -> None:
        try:
            while pieces:
                count = os.pwritev(self._descriptor, pieces, self.written)
                self.written += count
                while pieces and count >= len(pieces[0]):
                    count -= len(pieces.pop(0))
                if pieces:
                    pieces[0] = pieces[0][count:]
        except OSError as error:
            raise refuse(self._path, error) from error

    def verify(self) -> None:
        """Check the digest, and write the last byte; this does not sync the file.

        Raises:
            DigestMismatch: the bytes are wrong; the file was rejected, and readers see this.
            StoreError: the disk refused the last byte.
        """
        if not self.is_right:
            self.reject()
            why = f"{self.received} bytes were received, and are wrong"
            raise DigestMismatch(str(self._digest), why)
        if self._held:
            last, self._held = self._held, b""
            self._write([memoryview(last)])

    def seal(self) -> SealedPartial:
        """Verify, sync the file, and mark it as whole.

        Raises:
            DigestMismatch: as for `verify`.
            StoreError: the disk refused the last byte or the sync.
        """
        self.verify()
        with translate_errors(self._path):
            os.fsync(self._descriptor)
            os.fchmod(self._descriptor, WHOLE)
        return SealedPartial(self._path, self._digest, self.written)

    def reject(self) -> None:
        """Mark the bytes as wrong for every reader, and unlink the file."""
        os.fchmod(self._descriptor, _REJECTED)
        self.abandon()

    def begin_again(self) -> RejectedBytes:
        """Do as `reject` and `restart`, and return the bytes. Raises StoreError as `restart`."""
        os.fchmod(self._descriptor, _REJECTED)
        rejected = RejectedBytes(os.dup(self._descriptor), self._held, self._path.parent)
        with ExitStack() as undo:
            undo.callback(rejected.close)
            self.restart()
            undo.pop_all()
        return rejected

    def abandon(self) -> None:
        """Unlink the file, unless a store has adopted it; readers can still read the open file."""
        if leads_to(self._path, self._descriptor):
            self._path.unlink(missing_ok=True)

    def touch(self) -> None:
        """Give readers a sign of life while no bytes come; this may run beside other methods.

        Only the time of the inode changes. That of the file says when bytes came (`Ingests.idle`).
        """
        with suppress(OSError):  # not there yet or any more, or the disk refuses
            written = self._path.lstat().st_mtime_ns
            os.utime(self._path, ns=(time.time_ns(), written), follow_symlinks=False)

    def close(self) -> None:
        """Release the lock; the written bytes are kept for the next writer."""
        os.close(self._descriptor)
