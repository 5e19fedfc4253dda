"""What a test receives of a download, as bytes."""

from collections.abc import AsyncIterable, Callable

from registry.tasks import in_thread
from registry.upstream.contract import Chunk


class Step:
    """Incoming bytes; a thread receives `content`."""

    waited = 0.0

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._received = 0

    def __len__(self) -> int:
        return self._received

    def receive(self, sink: Callable[[memoryview], None], _seconds: float) -> None:
        """Pass all bytes to `sink`."""
        sink(memoryview(self._content))
        self._received = len(self._content)


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
