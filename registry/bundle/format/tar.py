"""The tar format as far as bundles use it: regular files whose sizes are known first. Pure.

A header has a name and a size and nothing else, so that the same content gives the same bytes. A
header that is read has to be, byte for byte, the header that this module would write. So if another
program made an archive, or if it was damaged, this is noticed at the first header that differs
(POSIX.1-2017, pax: ustar, with pax records where a size or a name needs them).
"""

import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from registry.errors import BundleForeign, BundleInvalid
from registry.oci.digest import Digest

BLOCK = 512  # bytes; every header, and the content of every file, begins at a multiple of it
END = bytes(2 * BLOCK)
KIND = slice(156, 157)  # bytes of a header that say what follows the header
_CHECKSUM = slice(148, 156)  # bytes of a header
PAX_HEADER = tarfile.XHDTYPE  # a block of records and a second header follow
_NAME = re.compile(
    r"oci-layout|(?:index|manifest|bundle|extras|volume)\.json|bundle\.json\.sig|README\.txt"
    r"|blobs/(?:(sha256)/([0-9a-f]{64})|(sha512)/([0-9a-f]{128}))(?:\.([0-9]{4}))?"
)
_MAX_SIZE = 2**60  # bytes; no file system has larger files


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a bundle: its content is `size` bytes that begin at byte `offset`.

    `end` is where the next header of the archive begins.
    """

    name: str
    offset: int
    size: int
    end: int


@dataclass(frozen=True, slots=True)
class BlobMember(Member):
    """A file that contains the blob `digest`, or, if `part` is not 0, the part with that number."""

    digest: Digest
    part: int = 0


def build_member(name: str, offset: int, size: int) -> Member:
    """Return the member for a file name, offset and size; a `BlobMember` for the name of a blob.

    Raises:
        ValueError: no file of a bundle has such a name.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"a bundle has no file called {name[:200]!r}")
    end = offset + pad(size)
    if algorithm := found[1] or found[3]:
        digest = Digest(f"{algorithm}:{found[2] or found[4]}")
        return BlobMember(name, offset, size, end, digest, int(found[5] or 0))
    return Member(name, offset, size, end)


def is_file_name(name: str) -> bool:
    """Whether a file of a bundle may have this name."""
    return _NAME.fullmatch(name) is not None


def format_blob_name(digest: Digest, part: int = 0) -> str:
    """Return the file name of a blob (image-spec, image-layout.md), or of its part 1, 2, ..."""
    name = f"blobs/{digest.algorithm}/{digest.encoded}"
    return f"{name}.{part:04}" if part else name


def pad(size: int) -> int:
    """Return `size` rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def write_header(name: str, size: int) -> bytes:
    """Return the header for a file called `name` with `size` bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def measure(name: str, size: int) -> int:
    """Return how many bytes a file takes in an archive, with its header and padding."""
    return len(write_header(name, size)) + pad(size)


def lay_out(files: Iterable[tuple[str, int]]) -> Iterator[Member]:
    """Yield a member with the offset of each file (name and size) in an archive of these files."""
    position = 0
    for name, size in files:
        member = build_member(name, position + len(write_header(name, size)), size)
        position = member.end
        yield member


def parse_header(header: bytes, position: int, label: str) -> Member:
    """Parse the blocks of the header at `position` in the archive that is called `label`.

    Raises:
        BundleForeign: the bytes are a header that no bundle has: of a folder, a link, another name.
        BundleInvalid: the bytes are not a header, or were damaged.
    """
    info = _parse(header, position, label)
    name, size = _read_fields(header, info, position, label)
    try:
        member = build_member(name, position + len(header), size)
    except ValueError as error:
        # The records before a header have no checksum, so their bytes may be damaged.
        is_damage = len(header) > BLOCK and info.name.startswith("blobs/")
        kind = BundleInvalid if is_damage else BundleForeign
        raise kind(label, f"byte {position}: {error}") from error
    if (right := write_header(name, size)) != header:
        is_damage = len(header) > BLOCK or _skip_checksum(right) == _skip_checksum(header)
        kind = BundleInvalid if is_damage else BundleForeign
        raise kind(label, f"byte {position}: the header of {name} was changed")
    return member


def _skip_checksum(header: bytes) -> bytes:
    """Return a header without its checksum, which has bytes that the checksum does not cover."""
    return header[: _CHECKSUM.start] + header[_CHECKSUM.stop :]


def _parse(header: bytes, position: int, label: str) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(header[-BLOCK:], "utf-8", "strict")
    except (tarfile.HeaderError, ValueError, IndexError) as error:
        raise BundleInvalid(label, f"no file begins at byte {position} ({error})") from error


def _read_fields(
    header: bytes, info: tarfile.TarInfo, position: int, label: str
) -> tuple[str, int]:
    try:
        records = _read_records(header[BLOCK : 2 * BLOCK]) if len(header) > BLOCK else {}
        name, size = records.get("path", info.name), int(records.get("size", info.size))
    except (ValueError, IndexError) as error:
        raise BundleInvalid(label, f"no file begins at byte {position} ({error})") from error
    if not 0 <= size <= _MAX_SIZE:
        raise BundleInvalid(label, f"the header at byte {position} has a size of {size}")
    return name, size


def _read_records(block: bytes) -> dict[str, str]:
    """Read pax records, which have a length, a key and a value; the lengths are compared later."""
    lines = block.rstrip(b"\0").decode("utf-8").splitlines()
    return dict(line.partition(" ")[2].split("=", 1) for line in lines)
