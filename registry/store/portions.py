"""Cutting chunks into portions that are hashed and written one after the other."""

from collections.abc import Iterable, Iterator

# Bytes that are hashed and then written in one call. For larger writes the kernel looks for larger
# pages, which sometimes takes longer than the write itself (docs/evidence/0003-speed.md).
PORTION = 256 * 1024


def cut_portions(chunks: Iterable[bytes]) -> Iterator[list[memoryview]]:
    """Yield the bytes of the chunks in portions that fit into the cache of a processor core."""
    portion: list[memoryview] = []
    left = PORTION
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            piece, rest = rest[:left], rest[left:]
            portion.append(piece)
            left -= piece.nbytes
            if not left:
                yield portion
                portion, left = [], PORTION
    if portion:
        yield portion
