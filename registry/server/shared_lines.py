"""Pages of lines in memory that forks share: each has one writer, and all processes read it."""

import mmap
import struct
from collections.abc import Callable

_HEAD = struct.Struct("QI")  # a number that is odd during a write, and the bytes that are used
_TRIES = 3


class SharedLines:
    """`pages` pages of `size` bytes; the oldest lines of a page make room for new ones."""

    def __init__(self, pages: int, size: int) -> None:
        self._pages, self._size = pages, size
        self._memory = mmap.mmap(-1, size * pages)

    def append(
        self, page: int, line: bytes, tidy: Callable[[bytes], bytes] = lambda kept: kept
    ) -> None:
        """Add a line; only one process writes a page. `tidy` may leave out some of the former."""
        start, room = page * self._size, self._size - _HEAD.size
        version, used = _HEAD.unpack_from(self._memory, start)
        body = start + _HEAD.size
        kept, line = tidy(bytes(self._memory[body : body + used])), line + b"\n"
        while kept and len(kept) + len(line) > room:
            kept = kept.partition(b"\n")[2]
        written = (kept + line)[-room:]
        begun = version | 1
        _HEAD.pack_into(self._memory, start, begun, used)
        self._memory[body : body + len(written)] = written
        _HEAD.pack_into(self._memory, start, begun + 1, len(written))

    def read(self) -> list[bytes]:
        """Return the lines of all pages; one is damaged if its writer was killed meanwhile."""
        return [line for page in range(self._pages) for line in self._read(page).splitlines()]

    def _read(self, page: int) -> bytes:
        start = page * self._size
        body = start + _HEAD.size
        text = b""
        for _ in range(_TRIES):
            version, used = _HEAD.unpack_from(self._memory, start)
            text = bytes(self._memory[body : body + used])
            if version % 2 == 0 and _HEAD.unpack_from(self._memory, start)[0] == version:
                break
        return text
