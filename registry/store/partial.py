"""One blob that is still arriving: a file with one writer and any number of readers.

The file is append-only and never holds its last byte before the digest has been checked. Its inode
alone tells every process what became of it, whatever name it has by then:

    mode 0600, linked      growing
    mode 0444              whole: verified, every byte readable
    mode 0400              condemned: the bytes were wrong
    mode 0600, no link     abandoned: the disk refused, or it was begun again in another file

A crash at any point leaves a file that the next writer can go on from, or nothing.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Self

from registry.errors import DigestMismatch, StoreError
from registry.oci.digest import Digest
from registry.store.file_locks import leads_to, take_lock

_WHOLE = 0o444  # its owner can still read, and so lock, what a crash left behind a verdict
_CONDEMNED = 0o400
_GROWING = 0o600
# Bytes hashed and then written in one call. Larger writes make the kernel look for larger pages,
# which every so often takes it longer than all the rest (docs/evidence/0003-speed.md).
_PORTION = 256 * 1024
_REHASH = 1024 * 1024  # bytes read at a time when a prefix is hashed again


class PartialState(Enum):
    """What has become of a part, read from its inode."""

    GROWING = "growing"
    WHOLE = "whole"
    CONDEMNED = "condemned"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Progress:
    """How many bytes may be read, and whether more will come."""

    landed: int
    state: PartialState


@dataclass(frozen=True, slots=True)
class SealedPartial:
    """A verified part that waits in the spool to be adopted by a store."""

    path: Path
    digest: Digest
    size: int


class PartialReader:
    """A reader's own descriptor on a part; it outlives renames and unlinks."""

    def __init__(self, path: Path) -> None:
        """Open `path`.

        Raises:
            FileNotFoundError: there is no such part (any more).
        """
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor, for `sendfile`."""
        return self._descriptor

    def progress(self) -> Progress:
        """Ask the inode; one system call, no path."""
        inode = os.fstat(self._descriptor)
        mode = inode.st_mode & 0o777
        if mode == _WHOLE:
            return Progress(inode.st_size, PartialState.WHOLE)
        if mode == _CONDEMNED:
            return Progress(inode.st_size, PartialState.CONDEMNED)
        state = PartialState.GROWING if inode.st_nlink else PartialState.ABANDONED
        return Progress(inode.st_size, state)

    def read(self, offset: int, length: int) -> bytes:
        """Read at most `length` bytes at `offset`."""
        return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _cut(chunks: Sequence[bytes]) -> Iterator[list[memoryview]]:
    """Yield the chunks in portions that are written while they are still in the core's cache."""
    portion: list[memoryview] = []
    room = _PORTION
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            piece, rest = rest[:room], rest[room:]
            portion.append(piece)
            room -= piece.nbytes
            if not room:
                yield portion
                portion, room = [], _PORTION
    if portion:
        yield portion


class PartialWriter:
    """The one writer of a part; holds its lock as long as `descriptor` is open.

    All methods block (disk, hashing): call them in a thread, one at a time; a few bytes may be
    appended where a thread hop would take longer. The last byte received is always held back in
    memory, so that it can only land after the digest agreed.
    """

    def __init__(self, path: Path, digest: Digest, descriptor: int) -> None:
        self._path = path
        self._digest = digest
        self._descriptor = descriptor
        self._hasher = digest.hasher()
        self._held = b""
        self.landed = 0

    @property
    def received(self) -> int:
        """Bytes received so far, the one held back included: where to go on from."""
        return self.landed + len(self._held)

    @property
    def is_right(self) -> bool:
        """Whether the bytes received are the whole blob: their digest agrees."""
        return self._hasher.hexdigest() == self._digest.encoded

    @property
    def is_fresh(self) -> bool:
        """Whether the file is as good as new: growing, and empty."""
        state = os.fstat(self._descriptor)
        return not state.st_size and state.st_mode & 0o777 == _GROWING

    @property
    def is_growing(self) -> bool:
        """Whether the file may be written to; false where a verdict on it was left behind."""
        return os.fstat(self._descriptor).st_mode & 0o777 == _GROWING

    def resume(self) -> int:
        """Hash what an earlier writer left and return how many bytes that was."""
        self._seek_start()
        while block := os.pread(self._descriptor, _REHASH, self.landed):
            self._hasher.update(block)
            self.landed += len(block)
        return self.landed

    def restart(self) -> None:
        """Throw away what is there, before anything was appended by this writer.

        The name gets a new file, and the old one is abandoned: a reader that has read wrong bytes
        from it must never find them continued with right ones.

        Raises:
            StoreError: the disk refuses new files.
        """
        if not self.is_fresh:
            try:
                self._replace_file()
            except OSError as error:
                raise StoreError(str(self._path), error.strerror or str(error)) from error
        self._seek_start()

    def _replace_file(self) -> None:
        # Locked before it has the name, so that nobody else becomes its writer in between.
        fresh = self._path.with_suffix(".fresh")
        fresh.unlink(missing_ok=True)
        descriptor = take_lock(fresh)
        if descriptor is None:
            raise BlockingIOError(errno.EAGAIN, "locked by nobody who may", str(fresh))
        try:
            fresh.replace(self._path)
        except OSError:
            os.close(descriptor)
            raise
        former, self._descriptor = self._descriptor, descriptor
        os.close(former)

    def _seek_start(self) -> None:
        self._hasher, self._held, self.landed = self._digest.hasher(), b"", 0

    def append(self, chunks: Sequence[bytes]) -> None:
        """Hash and write non-empty `chunks` in order, holding back the very last byte.

        Raises:
            StoreError: the disk refused (full, gone); nothing was lost of what readers have.
        """
        for portion in _cut(chunks):
            for piece in portion:
                self._hasher.update(piece)
            last = portion[-1]
            pieces = [memoryview(self._held), *portion[:-1], last[:-1]]
            self._held = bytes(last[-1:])
            self._write([piece for piece in pieces if piece.nbytes])

    def _write(self, pieces: list[memoryview]) -> None:
        try:
            while pieces:
                written = os.pwritev(self._descriptor, pieces, self.landed)
                self.landed += written
                while pieces and written >= len(pieces[0]):
                    written -= len(pieces.pop(0))
                if pieces:
                    pieces[0] = pieces[0][written:]
        except OSError as error:
            raise StoreError(str(self._path), error.strerror or str(error)) from error

    def release(self) -> None:
        """Let the byte held back land: more is to come, later and from another writer.

        Only who knows that it is not the last byte of the blob may.

        Raises:
            StoreError: the disk refused.
        """
        last, self._held = self._held, b""
        self._write([memoryview(last)] if last else [])

    def verify(self) -> None:
        """Let the last byte land if everything received is right; waits for no disk.

        Raises:
            DigestMismatch: wrong bytes; the part is condemned and its readers can tell.
            StoreError: the disk refused the last byte.
        """
        if not self.is_right:
            self.condemn()
            raise DigestMismatch(str(self._digest), f"{self.received} bytes arrived, and are wrong")
        if self._held:
            last, self._held = self._held, b""
            self._write([memoryview(last)])

    def seal(self) -> SealedPartial:
        """Verify, and make the part whole; durable when it returns.

        Raises:
            DigestMismatch: as `verify` does.
            StoreError: the disk refused the last byte or the sync.
        """
        self.verify()
        try:
            os.fsync(self._descriptor)
            os.fchmod(self._descriptor, _WHOLE)
        except OSError as error:
            raise StoreError(str(self._path), error.strerror or str(error)) from error
        return SealedPartial(self._path, self._digest, self.landed)

    def condemn(self) -> None:
        """Mark the bytes as wrong for every reader, and take the file away."""
        os.fchmod(self._descriptor, _CONDEMNED)
        self.abandon()

    def abandon(self) -> None:
        """Take the file away, if it is still in the spool; its readers keep what they opened."""
        if leads_to(self._path, self._descriptor):
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the lock; what has landed stays for whoever resumes."""
        os.close(self._descriptor)
