"""Where the files of a bundle are: in a tar, a stream, or a folder (`volume_set`: in volumes).

What is damaged is noted in `flaws`, and reading goes on behind it: the rest may be all that
somebody needs. Nothing is believed of what is read: names and sizes are compared, bytes hashed.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from registry.bundle.format.tar import BLOCK, Member, is_file_name, pad, read_member
from registry.errors import BundleInvalid

PIECE = 1024 * 1024  # bytes read at a time
MAX_SMALL = 16 * 1024 * 1024  # bytes of each file that is no blob
MAX_FLAWS = 100  # after so many nobody wants to know what else is wrong
MAX_MEMBERS = 250_000  # more than a lock can name
_MAGIC = slice(257, 263)  # where a header says that it is one
_SMALL = (
    "bundle.json",
    "bundle.json.sig",
    "oci-layout",
    "index.json",
    "manifest.json",
    "extras.json",
    "README.txt",
)


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes of a file that can be read at any place."""

    path: Path
    offset: int
    size: int


class Flaws:
    """What is wrong with a medium, a sentence each; only so many."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._count = 0

    def note(self, error: BundleInvalid) -> None:
        """Note what is wrong, the same once, and go on.

        Raises:
            BundleInvalid: this was one too many.
        """
        self._count += 1  # also what is told already: somebody may repeat it for ever
        if str(error) not in self.told:
            self.told.append(str(error))
        if self._count >= MAX_FLAWS:
            raise BundleInvalid(
                error.place, f"more than {MAX_FLAWS} things are wrong; last: {error.why}"
            )


class BundleSource(Protocol):
    """The files of a bundle, in the order in which they are best read."""

    label: str
    flaws: Flaws

    def list_members(self) -> Iterator[Member]:
        """Yield every file that can be found; read it before the next one is asked for.

        Raises:
            BundleInvalid: too much is wrong.
        """
        ...

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces of at most 1 MiB.

        Raises:
            BundleInvalid: it ends early, or cannot be read.
        """
        ...

    def locate(self, member: Member) -> list[Extent]:
        """Return where the bytes of a file are, in order; nothing where one cannot go back."""
        ...


class _Stream:
    """A file read on and on, that may be gone about in if it is no pipe."""

    def __init__(self, file: BinaryIO, label: str) -> None:
        self.can_seek = file.seekable()
        self.position = 0
        self._file = file
        self._label = label
        self._ahead = b""

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; fewer only at the end.

        Raises:
            BundleInvalid: the disk refused.
        """
        piece, self._ahead = self._ahead[:size], self._ahead[size:]
        try:
            piece += self._file.read(size - len(piece))
        except OSError as error:
            why = f"byte {self.position} cannot be read ({error.strerror or error})"
            raise BundleInvalid(self._label, why) from error
        self.position += len(piece)
        return piece

    def unread(self, piece: bytes) -> None:
        """Have bytes that were read before them once more."""
        self._ahead = piece + self._ahead
        self.position -= len(piece)

    def go(self, position: int) -> None:
        """Go on at a position, or at the end where that comes before it.

        Raises:
            BundleInvalid: the disk refused.
        """
        if self.can_seek:
            end = self._file.seek(0, os.SEEK_END)
            self._ahead, self.position = b"", self._file.seek(min(position, end))
        while self.position < position and self.read(min(PIECE, position - self.position)):
            pass


class TarSource:
    """A tar file that can be gone about in, or a stream that can only be read on."""

    def __init__(self, file: BinaryIO, label: str) -> None:
        self.label = label
        self.flaws = Flaws()
        self._stream = _Stream(file, label)

    def list_members(self) -> Iterator[Member]:
        """Yield the files in the order of the tar; behind a damaged header the next right one."""
        member = None
        while (member := self._find_member(member)) is not None:
            yield member

    def _find_member(self, former: Member | None) -> Member | None:
        is_lost = False
        try:
            if former is not None:
                self._stream.go(former.end)
                if self._stream.position < former.end:
                    raise self._tell_end(former)
            else:
                self._stream.go(0)
            while True:
                if is_lost and not self._skip_content():
                    return None
                position = self._stream.position
                try:
                    return read_member(self._stream, position, self.label)
                except BundleInvalid as error:
                    if not is_lost:
                        self.flaws.note(error)
                    is_lost = True
                    self._stream.go(max(position + BLOCK, self._stream.position))
        except BundleInvalid as error:
            self.flaws.note(error)
            return None

    def _skip_content(self) -> bool:
        """Read on to what looks like a header; false at the end."""
        while len(block := self._stream.read(BLOCK)) == BLOCK:
            if block[_MAGIC] == b"ustar\0":
                self._stream.unread(block)
                return True
        return False

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file of the tar; what fills its last block should be empty."""
        if self._stream.position != member.offset:
            self._stream.go(member.offset)
        left = member.size
        while left:
            piece = self._stream.read(min(PIECE, left))
            if not piece:
                raise self._tell_end(member)
            left -= len(piece)
            yield piece
        if self._stream.read(pad(member.size) - member.size).strip(b"\0"):
            why = f"what follows {member.name}, before byte {member.end}, is not as it was made"
            self.flaws.note(BundleInvalid(self.label, why))

    def _tell_end(self, member: Member) -> BundleInvalid:
        why = f"it ends at byte {self._stream.position}, within {member.name}"
        return BundleInvalid(self.label, why)

    def locate(self, member: Member) -> list[Extent]:
        """Return the one place of a file in the tar."""
        is_file = self._stream.can_seek
        return [Extent(Path(self.label), member.offset, member.size)] if is_file else []


class FolderSource:
    """A folder with the same names; no link in it is followed."""

    def __init__(self, folder: Path) -> None:
        self.label = str(folder)
        self.flaws = Flaws()
        self._folder = folder

    def list_members(self) -> Iterator[Member]:
        """Yield the small files, `bundle.json` first, then the blobs that are here."""
        for name in (*_SMALL, *self._list_blobs()):
            try:
                with self._open(name) as file:
                    size = os.fstat(file.fileno()).st_size
            except FileNotFoundError:
                continue  # what has to be here is asked for by the lock
            except BundleInvalid as error:
                self.flaws.note(error)
                continue
            yield Member(name, 0, size)

    def _list_blobs(self) -> list[str]:
        found: list[str] = []
        for folder in ("blobs/sha256", "blobs/sha512"):
            if not self._is_own(folder):
                continue
            with os.scandir(self._folder / folder) as entries:
                for entry in entries:
                    if is_file_name(name := f"{folder}/{entry.name}"):
                        found.append(name)
                        if len(found) > MAX_MEMBERS:
                            raise BundleInvalid(folder, f"more than {MAX_MEMBERS} files are in it")
        return sorted(found)

    def _is_own(self, folder: str) -> bool:
        path = self._folder / folder
        if not path.is_dir():
            return False
        if path.resolve() != self._folder.resolve() / folder:
            self.flaws.note(BundleInvalid(str(path), "it is no folder of the bundle's own"))
            return False
        return True

    def _open(self, name: str) -> BinaryIO:
        """Open a regular file, not what a link or a pipe of its name leads to."""
        path = self._folder / name
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise BundleInvalid(str(path), error.strerror or str(error)) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise BundleInvalid(str(path), "it is no regular file")
        return os.fdopen(descriptor, "rb", buffering=0)

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file of the folder."""
        left = member.size
        try:
            with self._open(member.name) as file:
                while left and (piece := file.read(min(PIECE, left))):
                    left -= len(piece)
                    yield piece
        except OSError as error:
            raise BundleInvalid(member.name, error.strerror or str(error)) from error
        if left:
            raise BundleInvalid(member.name, "it is shorter than it was")

    def locate(self, member: Member) -> list[Extent]:
        """Return the one file."""
        return [Extent(self._folder / member.name, 0, member.size)]


def read_small(source: BundleSource, member: Member) -> bytes:
    """Return the bytes of a file that is no blob.

    Raises:
        BundleInvalid: it is larger than 16 MiB, or ends early.
    """
    if member.size > MAX_SMALL:
        raise BundleInvalid(
            source.label, f"{member.name} has {member.size} bytes, more than {MAX_SMALL}"
        )
    return b"".join(source.read(member))


def format_place(source: BundleSource, member: Member) -> str:
    """Return the files that a member is in, as people are told; what the medium is, if in none."""
    paths = dict.fromkeys(str(each.path) for each in source.locate(member))
    return ", ".join(paths) or source.label
