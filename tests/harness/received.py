"""What a test receives of a download, as bytes."""

from collections.abc import AsyncIterable

from registry.tasks import in_thread
from registry.upstream.contract import Chunk


async def take(chunk: Chunk) -> bytes:
    """Return the bytes of a chunk, which a thread receives if it is `Incoming`."""
    if isinstance(chunk, bytes):
        return chunk
    got = bytearray()
    await in_thread(chunk.receive, got.extend, 0.02)
    return bytes(got)


async def take_all(chunks: AsyncIterable[Chunk]) -> bytes:
    """Return the bytes of all chunks."""
    return b"".join([await take(chunk) async for chunk in chunks])
