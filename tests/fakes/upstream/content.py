"""Content that can be served in slices without copies."""

import functools
import hashlib
import random
from typing import Protocol

MIB = 1 << 20
STAMP = 16
INVERTED = bytes(byte ^ 0xFF for byte in range(256))


class Content(Protocol):
    """Bytes of a known size that can be read in pieces; pieces are memoryviews."""

    @property
    def size(self) -> int:
        """The length in bytes."""
        ...

    def piece(self, offset: int, most: int) -> memoryview:
        """Return at least one and at most `most` bytes from `offset`, which is less than `size`."""
        ...


class Held:
    """Content that is in memory, or in a memory map."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._view = memoryview(data)
        self.size = self._view.nbytes

    def piece(self, offset: int, most: int) -> memoryview:
        return self._view[offset : offset + most]


class Stamped:
    """Large content from a seed: one random MiB, repeated, each time with another counter.

    Only that MiB is in memory, so several GiB take neither memory nor time.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._block = memoryview(random.Random(seed).randbytes(MIB))

    def piece(self, offset: int, most: int) -> memoryview:
        number, inside = divmod(offset, MIB)
        most = min(most, self.size - offset)
        if inside < STAMP:
            return memoryview(number.to_bytes(STAMP, "big"))[inside : inside + most]
        return self._block[inside : inside + most]


class Flipped:
    """The same content with some wrong bytes; a negative position counts from the end."""

    def __init__(self, content: Content, *places: int) -> None:
        self._content = content
        self.size = content.size
        self._places = [at % content.size for at in places if content.size]

    def piece(self, offset: int, most: int) -> memoryview:
        view = self._content.piece(offset, most)
        wrong = [at - offset for at in self._places if offset <= at < offset + view.nbytes]
        if not wrong:
            return view
        changed = bytearray(view)
        for at in wrong:
            changed[at] ^= 0xFF
        return memoryview(changed)


class Inverted:
    """The same content with every byte inverted."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self.size = content.size

    def piece(self, offset: int, most: int) -> memoryview:
        return memoryview(self._content.piece(offset, most).tobytes().translate(INVERTED))


def read_all(content: Content) -> bytes:
    """Return a copy of all bytes of the content."""
    data = bytearray()
    while len(data) < content.size:
        data += content.piece(len(data), MIB)
    return bytes(data)


def digest_bytes(data: bytes | memoryview) -> str:
    """Return the sha256 digest in the form that manifests have."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@functools.lru_cache(maxsize=64)
def digest_stamped(size: int, seed: int) -> str:
    """Return the digest of `Stamped(size, seed)`; cached, as tests use few sizes."""
    content = Stamped(size, seed)
    sha256 = hashlib.sha256()
    offset = 0
    while offset < size:
        view = content.piece(offset, MIB)
        sha256.update(view)
        offset += view.nbytes
    return "sha256:" + sha256.hexdigest()
