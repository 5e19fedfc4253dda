"""The tar format as far as bundles use it: regular files, whose sizes are known before.

Headers say name and size and nothing else, so that the same content gives the same bytes; what is
read has to be what would have been written, byte for byte. So an archive that anybody else made, or
that was damaged anywhere, is told apart at the first block that differs (POSIX.1-2017, pax: ustar,
with pax records where a size or a name needs them).
"""

import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from registry.errors import BundleInvalid
from registry.oci.digest import Digest

BLOCK = 512  # bytes; everything in a tar begins at a multiple of it
END = bytes(2 * BLOCK)
_NAME = re.compile(
    r"oci-layout|(?:index|manifest|bundle|extras|volume)\.json|bundle\.json\.sig|README\.txt"
    r"|blobs/sha(?:256/[0-9a-f]{64}|512/[0-9a-f]{128})(?:\.[0-9]{4})?"
)
_MAX_SIZE = 2**60  # bytes; beyond it no file system could be gone about in
_PAX_BLOCKS = 2  # behind the header that says that there are records: they, and the file's header


class ByteSource(Protocol):
    """What an archive is read from."""

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes; fewer only at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: its bytes are the `size` from `offset` on."""

    name: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Where the next header begins."""
        return self.offset + pad(self.size)

    @property
    def is_blob(self) -> bool:
        """Whether it is a blob or a part of one."""
        return self.name.startswith("blobs/")


def is_file_name(name: str) -> bool:
    """Whether a file of a bundle may have this name."""
    return _NAME.fullmatch(name) is not None


def format_blob_name(digest: Digest, part: int = 0) -> str:
    """Return the name of a blob's file (image-spec, image-layout.md), or of its part 1, 2, ..."""
    name = f"blobs/{digest.algorithm}/{digest.encoded}"
    return f"{name}.{part:04}" if part else name


def read_blob_name(name: str) -> Digest:
    """Return the digest of the blob that a file is, or is a part of."""
    _, algorithm, encoded = name.split("/")
    return Digest.parse(f"{algorithm}:{encoded.partition('.')[0]}")


def pad(size: int) -> int:
    """Return `size` with what fills its last block."""
    return -(-size // BLOCK) * BLOCK


def write_header(name: str, size: int) -> bytes:
    """Return what stands before the `size` bytes of a file called `name`."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def measure(name: str, size: int) -> int:
    """Return how many bytes a file takes in an archive."""
    return len(write_header(name, size)) + pad(size)


def lay_out(files: Iterable[tuple[str, int]]) -> Iterator[Member]:
    """Yield where each file (name and size) will be."""
    position = 0
    for name, size in files:
        member = Member(name, position + len(write_header(name, size)), size)
        position = member.end
        yield member


def read_member(file: ByteSource, position: int, label: str) -> Member | None:
    """Read the header at `position`, where the file has been left; None at the end of the archive.

    Raises:
        BundleInvalid: there is no header, or not one that a bundle has.
    """
    header = _read_block(file, position, label)
    if not header.strip(b"\0"):
        _check_end(file, position + BLOCK, label)
        return None
    if header[156:157] == tarfile.XHDTYPE:
        for number in range(1, 1 + _PAX_BLOCKS):
            header += _read_block(file, position + number * BLOCK, label)
    name, size = _parse(header, position, label)
    if not is_file_name(name):
        raise BundleInvalid(label, f"byte {position}: a bundle has no file called {name[:200]!r}")
    if write_header(name, size) != header:
        raise BundleInvalid(label, f"byte {position}: the header of {name} is not as it was made")
    return Member(name, position + len(header), size)


def _read_block(file: ByteSource, position: int, label: str) -> bytes:
    block = file.read(BLOCK)
    if len(block) < BLOCK:
        raise BundleInvalid(label, f"it ends at byte {position + len(block)}, in the middle")
    return block


def _check_end(file: ByteSource, position: int, label: str) -> None:
    """Accept a second block of zeros, and as many more as tapes and tools like to add."""
    found = _read_block(file, position, label)
    while found:
        if found.strip(b"\0"):
            raise BundleInvalid(label, f"something follows its end, at byte {position}")
        position += len(found)
        found = file.read(BLOCK * BLOCK)


def _parse(header: bytes, position: int, label: str) -> tuple[str, int]:
    try:
        info = tarfile.TarInfo.frombuf(header[-BLOCK:], "utf-8", "strict")
        records = _read_records(header[BLOCK : 2 * BLOCK]) if len(header) > BLOCK else {}
        name, size = records.get("path", info.name), int(records.get("size", info.size))
    except (tarfile.HeaderError, ValueError, IndexError) as error:
        raise BundleInvalid(label, f"byte {position} begins no file ({error})") from error
    if not 0 <= size <= _MAX_SIZE:
        raise BundleInvalid(label, f"byte {position} says a size of {size}")
    return name, size


def _read_records(block: bytes) -> dict[str, str]:
    """Read pax records, a length, a key and a value each; their lengths are compared later."""
    lines = block.rstrip(b"\0").decode("utf-8").splitlines()
    return dict(line.partition(" ")[2].split("=", 1) for line in lines)
