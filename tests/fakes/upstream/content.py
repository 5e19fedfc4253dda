"""Bytes that can be served in slices without being copied."""

import functools
import hashlib
import random
from typing import Protocol

MIB = 1 << 20
STAMP = 16


class Content(Protocol):
    """Something of a known size whose pieces are views, not copies."""

    @property
    def size(self) -> int:
        """The length in bytes."""
        ...

    def piece(self, offset: int, most: int) -> memoryview:
        """At least one and at most `most` bytes from `offset`, which lies inside."""
        ...


class Held:
    """Content that is in memory (or in a memory map) as one run."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._view = memoryview(data)
        self.size = self._view.nbytes

    def piece(self, offset: int, most: int) -> memoryview:
        return self._view[offset : offset + most]


class Stamped:
    """Large deterministic content: one shaken MiB repeated, each repeat with its own counter.

    Nothing of it is held but that one MiB, so several GiB cost neither memory nor time.
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
    """The same content with one byte changed; a negative position counts from the end."""

    def __init__(self, content: Content, at: int) -> None:
        self._content = content
        self.size = content.size
        self._at = at % content.size if content.size else -1

    def piece(self, offset: int, most: int) -> memoryview:
        view = self._content.piece(offset, most)
        if not offset <= self._at < offset + view.nbytes:
            return view
        changed = bytearray(view)
        changed[self._at - offset] ^= 0xFF
        return memoryview(changed)


def read_all(content: Content) -> bytes:
    """Every byte of the content, copied."""
    data = bytearray()
    while len(data) < content.size:
        data += content.piece(len(data), MIB)
    return bytes(data)


def digest_bytes(data: bytes | memoryview) -> str:
    """The sha256 digest as it is written in a manifest."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@functools.lru_cache(maxsize=64)
def digest_stamped(size: int, seed: int) -> str:
    """The digest of `Stamped(size, seed)`; remembered, because tests ask for the same few sizes."""
    content = Stamped(size, seed)
    sha256 = hashlib.sha256()
    offset = 0
    while offset < size:
        view = content.piece(offset, MIB)
        sha256.update(view)
        offset += view.nbytes
    return "sha256:" + sha256.hexdigest()
