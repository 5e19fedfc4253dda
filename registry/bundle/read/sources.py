"""Sources of a bundle: the contract of all sources, and the source for a tar (file or stream).

`folder_source.py` and `volume_source.py` have the other two sources. Damage is noted in `flaws`,
and the rest of the bundle is still read. Names and sizes of all files are checked.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Literal, Protocol

from registry.bundle.format.lock import Lock
from registry.bundle.format.tar import BLOCK, KIND, PAX_HEADER, BlobMember, Member, parse_header
from registry.bundle.format.volumes import Part
from registry.bundle.read.flaws import Flaws
from registry.errors import BundleInvalid
from registry.oci.digest import Digest

Shape = Literal["file", "folder", "volumes"]  # a stream counts as a file
PIECE = 1024 * 1024  # bytes read at a time
MAX_SMALL = 16 * 1024 * 1024  # bytes of one small file
MAX_SMALL_FILES = 64 * 1024 * 1024  # bytes of the small files together
ENDS_EARLY = "it ends too early"
_MAGIC = slice(257, 263)  # bytes of a tar header that contain the word "ustar"


@dataclass(frozen=True, slots=True)
class Extent:
    """A range of a file: `size` bytes that begin at `offset`."""

    path: Path
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class CutPart:
    """A part of a blob that was cut, and the volume that contains it."""

    part: Part
    member: BlobMember
    source: "BundleSource"

    @property
    def label(self) -> str:
        """The names of the volume and of the part in it, for messages."""
        return f"{self.source.label}: {self.member.name}"


class BundleSource(Protocol):
    """The files of a bundle, in the order in which reading them is fastest.

    `label` is the name for messages. The other fields are about volumes: `count` is the number of
    volumes (0: the bundle is not cut), `missing` are the numbers of volumes that were not given,
    `lock` is their `bundle.json`, and `parts` has the parts of each cut blob after all members were
    listed. `ignored` are files beside the bundle's that are not its own, and were not read.
    """

    label: str
    flaws: Flaws
    shape: Shape = "file"
    count: int = 0
    missing: tuple[int, ...] = ()
    ignored: tuple[Path, ...] = ()
    lock: Lock | None = None
    parts: Mapping[Digest, Sequence[CutPart]] = MappingProxyType({})

    def list_members(self) -> Iterator[Member]:
        """Yield every file that is found; the caller reads it before it asks for the next one.

        Raises:
            BundleInvalid: too many things are wrong.
        """
        ...

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces of at most 1 MiB.

        Raises:
            BundleInvalid: the file ends early, or cannot be read.
        """
        ...

    def locate(self, member: Member) -> list[Extent]:
        """Return the places of the bytes of a member, in order; empty for a stream."""
        ...


class _Stream:
    """A file that is read from beginning to end; `go` can also go back unless it is a pipe."""

    def __init__(self, file: BinaryIO, label: str) -> None:
        self.can_seek = file.seekable()
        self.position = 0
        self._file = file
        self._label = label
        self._ahead = b""

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; fewer only at the end.

        Raises:
            BundleInvalid: the file cannot be read.
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
        """Give back the bytes that were read last: the next `read` returns them again."""
        self._ahead = piece + self._ahead
        self.position -= len(piece)

    def go(self, position: int) -> None:
        """Go to a position, or to the end of the file if the file is shorter.

        Raises:
            BundleInvalid: the file cannot be read.
        """
        if self.can_seek:
            end = self._file.seek(0, os.SEEK_END)
            self._ahead, self.position = b"", self._file.seek(min(position, end))
        while self.position < position and self.read(min(PIECE, position - self.position)):
            pass


class TarSource(BundleSource):
    """A tar in a file, or in a stream that can only be read forward.

    Volumes of one bundle share their `flaws`.
    """

    def __init__(self, file: BinaryIO, label: str, flaws: Flaws | None = None) -> None:
        self.label = label
        self.flaws = Flaws() if flaws is None else flaws
        self._stream = _Stream(file, label)

    def list_members(self) -> Iterator[Member]:
        """Yield the files in the order of the tar; damaged headers are skipped."""
        member = None
        while (member := self._find_member(member)) is not None:
            yield member

    def _find_member(self, last: Member | None) -> Member | None:
        is_lost = False
        try:
            if last is not None:
                self._stream.go(last.end)
                if self._stream.position < last.end:
                    raise self._report_end(last)
            else:
                self._stream.go(0)
            while True:
                if is_lost and not self._skip_content(math.inf if last else MAX_SMALL_FILES):
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

    def _skip_content(self, stop: float) -> bool:
        """Skip to the next block that looks like a header; return false at the end or at `stop`.

        A stream without end, such as one of random bytes, is not read without end.
        """
        while self._stream.position < stop and len(block := self._stream.read(BLOCK)) == BLOCK:
            if block[_MAGIC] == b"ustar\0":
                self._stream.unread(block)
                return True
        return False

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file; note a flaw if the padding after it is not zeros."""
        if self._stream.position != member.offset:
            self._stream.go(member.offset)
        left = member.size
        while left:
            piece = self._stream.read(min(PIECE, left))
            if not piece:
                raise self._report_end(member)
            left -= len(piece)
            yield piece
        if self._stream.read(member.end - member.offset - member.size).strip(b"\0"):
            why = f"the padding of {member.name}, before byte {member.end}, is not empty"
            self.flaws.note(BundleInvalid(self.label, why))

    def _report_end(self, member: Member) -> BundleInvalid:
        why = f"{ENDS_EARLY}, at byte {self._stream.position}, within {member.name}; copy it again"
        return BundleInvalid(self.label, why)

    def locate(self, member: Member) -> list[Extent]:
        """Return the place of a file in the tar as one extent."""
        is_file = self._stream.can_seek
        return [Extent(Path(self.label), member.offset, member.size)] if is_file else []


def read_member(file: BinaryIO | _Stream, position: int, label: str) -> Member | None:
    """Read the header at `position`, the current position of the file; None at the archive's end.

    Raises:
        BundleInvalid: the bytes are not a header, or are a header that no bundle has.
    """
    header = _read_block(file, position, label)
    if not header.strip(b"\0"):
        _check_end(file, position + BLOCK, label)
        return None
    if header[KIND] == PAX_HEADER:
        header += _read_block(file, position + BLOCK, label)
        header += _read_block(file, position + 2 * BLOCK, label)
    return parse_header(header, position, label)


def _read_block(file: BinaryIO | _Stream, position: int, label: str) -> bytes:
    block = file.read(BLOCK)
    if len(block) < BLOCK:
        end = position + len(block)
        raise BundleInvalid(label, f"{ENDS_EARLY}, at byte {end}; copy it again")
    return block


def _check_end(file: BinaryIO | _Stream, position: int, label: str) -> None:
    """Check that only blocks of zeros follow; some tools write more than two of them."""
    end = position
    found = _read_block(file, position, label)
    while found:
        if found.strip(b"\0"):
            raise BundleInvalid(label, f"data follows its end, at byte {position}")
        if position - end > MAX_SMALL:
            raise BundleInvalid(label, f"more than {MAX_SMALL} zeros follow its end, at byte {end}")
        position += len(found)
        found = file.read(BLOCK * BLOCK)


def read_head(source: BundleSource) -> tuple[dict[str, bytes], Iterator[Member]]:
    """Read the small files before the first blob; return them by name, and the members after them.

    Raises:
        BundleInvalid: a file occurs twice or ends early, or the files are too large.
    """
    head: dict[str, bytes] = {}
    members = source.list_members()
    for member in members:
        if isinstance(member, BlobMember):
            return head, chain([member], members)
        if member.name in head:
            raise BundleInvalid(source.label, f"it contains {member.name} twice")
        head[member.name] = read_small(source, member)
        if sum(map(len, head.values())) > MAX_SMALL_FILES:
            raise BundleInvalid(
                source.label, f"its small files have more than {MAX_SMALL_FILES} bytes"
            )
    return head, iter(())


def read_small(source: BundleSource, member: Member) -> bytes:
    """Return the bytes of a small file.

    Raises:
        BundleInvalid: the file is larger than 16 MiB, or ends early.
    """
    if member.size > MAX_SMALL:
        raise BundleInvalid(
            source.label, f"{member.name} has {member.size} bytes, more than {MAX_SMALL}"
        )
    return b"".join(source.read(member))


def format_place(source: BundleSource, member: Member) -> str:
    """Return the paths of the files that contain a member; for a stream, the source's label."""
    paths = dict.fromkeys(str(each.path) for each in source.locate(member))
    return ", ".join(paths) or source.label
