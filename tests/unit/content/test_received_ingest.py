"""Laws of an ingest whose bytes a thread receives, and of the space reserved before they come."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.content.destination import Stored
from registry.oci.digest import Digest
from registry.store.parallel_hash import LEAST
from tests.unit.content.ingest_site import CONTENT, DIGEST, SIZE, Site

LARGE = memoryview(CONTENT * (5 * LEAST // SIZE))
LARGE_DIGEST = Digest.of(bytes(LARGE))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_a_thread_receives_and_writes(site: Site) -> None:
    """Bytes that a thread receives are written in order, each before its memory is used again."""

    def receive(sink: Callable[[memoryview], None]) -> None:
        memory, other = memoryview(bytearray(1000)), memoryview(bytearray(1000))
        for start in range(0, SIZE, len(memory)):
            piece = CONTENT[start : start + len(memory)]
            memory[: len(piece)] = piece
            sink(memory[: len(piece)])
            memory, other = other, memory

    async with site.take() as ingest:
        await ingest.expect(SIZE)
        await ingest.receive(receive)
        assert site.space.reserved == [SIZE]
        assert ingest.offset == SIZE
        assert await ingest.commit() == Stored(DIGEST, SIZE)
    assert await site.content.read_all(DIGEST, SIZE) == CONTENT


async def test_space_is_reserved_before_the_bytes_come(site: Site) -> None:
    """What was reserved while the upstream answers is not reserved again."""
    async with site.take() as ingest:
        await ingest.prepare(SIZE)
        await ingest.expect(SIZE)
        await ingest.append_first(CONTENT)
        assert site.space.reserved == []


@pytest.mark.parametrize("size", [None, SIZE])
async def test_space_that_is_not_free_is_reserved_later(site: Site, size: int | None) -> None:
    """If nothing could be reserved before, it is when the bytes come."""
    async with site.take() as ingest:
        site.space.refuses_space = True
        await ingest.prepare(size)
        site.space.refuses_space = False
        await ingest.expect(SIZE)
        await ingest.append_first(CONTENT)
        assert site.space.reserved == [SIZE]


async def test_cancelled_while_a_thread_receives(site: Site) -> None:
    """A cancelled ingest waits for its threads, and the next one goes on from its bytes."""
    loop, has_begun = asyncio.get_running_loop(), asyncio.Event()
    may_end = threading.Event()

    def receive(sink: Callable[[memoryview], None]) -> None:
        for start in range(0, LEAST * 3, LEAST):
            sink(LARGE[start : start + LEAST])
        loop.call_soon_threadsafe(has_begun.set)
        assert may_end.wait(30)

    async def write() -> None:
        async with site.take(LARGE_DIGEST) as ingest:
            await ingest.expect(len(LARGE))
            await ingest.receive(receive)

    writing = asyncio.create_task(write())
    await has_begun.wait()
    writing.cancel()
    await asyncio.sleep(0)
    assert not writing.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await writing

    async with site.take(LARGE_DIGEST) as ingest:
        start = await ingest.resume(len(LARGE))
        assert start == 3 * LEAST - 1
        await ingest.receive(lambda sink: sink(LARGE[start:]))
        assert await ingest.commit() == Stored(LARGE_DIGEST, len(LARGE))
