"""Where the files of a bundle are: in a tar, a stream, a folder, or volumes."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Protocol

from registry.bundle.archive import Member, pad, read_blob_name, read_member, spell_blob
from registry.bundle.volume import Part, Volume, parse_volume
from registry.errors import BundleInvalid

PIECE = 1024 * 1024  # bytes read at a time
MAX_SMALL = 16 * 1024 * 1024  # bytes of each file that is no blob


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes of a file that can be read at any place."""

    path: Path
    offset: int
    size: int


class Medium(Protocol):
    """The files of a bundle, in the order in which they are best read."""

    label: str

    def list_members(self) -> Iterator[Member]:
        """Yield every file; its bytes have to be read before the next one is asked for.

        Raises:
            BundleInvalid: what is there is not (the whole of) a bundle.
            OSError: it cannot be read.
        """
        ...

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces of at most 1 MiB.

        Raises:
            BundleInvalid: it ends early.
            OSError: it cannot be read.
        """
        ...

    def locate(self, member: Member) -> list[Extent]:
        """Return where the bytes of a file are, in order; nothing where one cannot go back."""
        ...


class TarMedium:
    """A tar file that can be gone about in, or a stream that can only be read on."""

    def __init__(self, file: BinaryIO, label: str) -> None:
        self.label = label
        self._file = file
        self._position = 0
        self._can_seek = file.seekable()

    def list_members(self) -> Iterator[Member]:
        """Yield the files in the order of the tar."""
        position = 0
        while (member := self._read_header(position)) is not None:
            yield member
            position = member.end

    def _read_header(self, position: int) -> Member | None:
        self._go(position)
        member = read_member(self._file, position, self.label)
        if member is not None:
            self._position = member.offset
        return member

    def _go(self, position: int) -> None:
        if self._can_seek:
            self._file.seek(position)
            self._position = position
        while self._position < position:
            self._position += len(self._take(min(PIECE, position - self._position), "a file"))

    def _take(self, size: int, name: str) -> bytes:
        piece = self._file.read(size)
        if not piece:
            raise BundleInvalid(self.label, f"it ends at byte {self._position}, within {name}")
        return piece

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file of the tar; what fills its last block has to be empty."""
        self._go(member.offset)
        left = member.size
        while left:
            piece = self._take(min(PIECE, left), member.name)
            self._position += len(piece)
            left -= len(piece)
            yield piece
        left = pad(member.size) - member.size
        while left:
            piece = self._take(left, member.name)
            if piece.strip(b"\0"):
                raise BundleInvalid(self.label, f"byte {self._position}: not as it was made")
            self._position += len(piece)
            left -= len(piece)

    def locate(self, member: Member) -> list[Extent]:
        """Return the one place of a file in the tar."""
        return [Extent(Path(self.label), member.offset, member.size)] if self._can_seek else []


class FolderMedium:
    """A folder with the same names."""

    def __init__(self, folder: Path) -> None:
        self.label = str(folder)
        self._folder = folder

    def list_members(self) -> Iterator[Member]:
        """Yield the small files, `bundle.json` first, then the blobs that are here."""
        small = [path for path in self._folder.iterdir() if path.name != "blobs"]
        small.sort(key=lambda path: (path.name != "bundle.json", path.name))
        for path in (*small, *sorted(self._folder.glob("blobs/*/*"))):
            if not path.name.endswith(".part"):  # of a writing that was interrupted
                with self._open(path) as file:
                    size = os.fstat(file.fileno()).st_size
                yield Member(str(path.relative_to(self._folder)), 0, size)

    def _open(self, path: Path) -> BinaryIO:
        """Open a file that is no link, no pipe, and in no folder that is a link."""
        if path.parent.resolve() != (
            self._folder.resolve() / path.parent.relative_to(self._folder)
        ):
            raise BundleInvalid(str(path.parent), "it is no folder of the bundle's own")
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise BundleInvalid(str(path), error.strerror or str(error)) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise BundleInvalid(str(path), "it is no regular file")
        return os.fdopen(descriptor, "rb")

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file of the folder."""
        left = member.size
        with self._open(self._folder / member.name) as file:
            while left and (piece := file.read(min(PIECE, left))):
                left -= len(piece)
                yield piece

    def locate(self, member: Member) -> list[Extent]:
        """Return the one file."""
        return [Extent(self._folder / member.name, 0, member.size)]


@dataclass(frozen=True, slots=True)
class _Tape:
    """A volume, and the files in it by name."""

    volume: Volume
    medium: TarMedium
    members: dict[str, Member]


class VolumesMedium:
    """Volumes of one bundle, in any order, some of which may be missing.

    Blobs that were cut are put together again, if all their parts are here.
    """

    def __init__(self, media: Sequence[TarMedium]) -> None:
        """Read what the volumes are.

        Raises:
            BundleInvalid: one is none, is there twice, or is of another bundle.
        """
        tapes = sorted(map(_load_tape, media), key=lambda each: each.volume.number)
        first = tapes[0].volume
        for former, tape in pairwise(tapes):
            volume, label = tape.volume, tape.medium.label
            if (volume.bundle_id, volume.count) != (first.bundle_id, first.count):
                raise BundleInvalid(label, f"it is of another bundle than {media[0].label}")
            if volume.number == former.volume.number:
                raise BundleInvalid(label, f"it is volume {volume.number}, which is there twice")
        self._tapes = tapes
        self.bundle_id = first.bundle_id
        self.count = first.count
        self.missing = sorted({*range(1, first.count + 1)} - {t.volume.number for t in tapes})
        self.label = tapes[0].medium.label if len(tapes) == 1 else f"{len(tapes)} volumes"
        self._extents: dict[str, list[tuple[_Tape, Member]]] = {}
        self.lone_parts: list[tuple[str, Part]] = []  # of blobs that are not all here

    def list_members(self) -> Iterator[Member]:
        """Yield the small files once, then the blobs by volume."""
        seen: set[str] = set()
        parts: dict[str, list[tuple[Part, _Tape, Member]]] = {}
        for tape in self._tapes:
            for member in tape.members.values():
                part = tape.volume.parts.get(member.name)
                if part is not None:
                    whole = spell_blob(read_blob_name(member.name))
                    parts.setdefault(whole, []).append((part, tape, member))
                elif member.is_blob or member.name not in seen:
                    seen.add(member.name)
                    self._extents[member.name] = [(tape, member)]
                    yield member
        for name, found in parts.items():
            yield from self._join(name, found)

    def _join(self, name: str, found: list[tuple[Part, _Tape, Member]]) -> Iterator[Member]:
        found.sort(key=lambda each: each[0].start)
        size = 0
        for part, _, member in found:
            size += part.size if (part.start, part.size) == (size, member.size) else 0
        if size != found[0][0].whole:
            self.lone_parts += [(member.name, part) for part, _, member in found]
            return
        self._extents[name] = [(tape, member) for _, tape, member in found]
        yield Member(name, 0, size)

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file, part by part."""
        for tape, each in self._extents[member.name]:
            yield from tape.medium.read(each)

    def locate(self, member: Member) -> list[Extent]:
        """Return the places of a file's parts."""
        found = self._extents[member.name]
        return [extent for tape, each in found for extent in tape.medium.locate(each)]


def _load_tape(medium: TarMedium) -> _Tape:
    members: dict[str, Member] = {}
    volume = None
    for member in medium.list_members():
        if member.name in members:
            raise BundleInvalid(medium.label, f"{member.name} is there twice")
        if member.name == "volume.json":
            volume = parse_volume(read_small(medium, member), medium.label)
        members[member.name] = member
    if volume is None:
        raise BundleInvalid(medium.label, "it is no volume: it has no volume.json")
    return _Tape(volume, medium, members)


def read_small(medium: Medium, member: Member) -> bytes:
    """Return the bytes of a file that is no blob.

    Raises:
        BundleInvalid: it is larger than 16 MiB, or ends early.
    """
    if member.size > MAX_SMALL:
        raise BundleInvalid(
            medium.label, f"{member.name} has {member.size} bytes, more than {MAX_SMALL}"
        )
    return b"".join(medium.read(member))
