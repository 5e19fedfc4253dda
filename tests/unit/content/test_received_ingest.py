"""Laws of an ingest whose bytes a thread receives, and of the space reserved before they come."""

from collections.abc import Callable
from pathlib import Path

import pytest

from registry.content.destination import Stored
from tests.unit.content.ingest_site import CONTENT, DIGEST, SIZE, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_a_thread_receives_and_writes(site: Site) -> None:
    """Bytes that a thread receives are written in order, each before its memory is used again."""

    def receive(sink: Callable[[memoryview], None]) -> None:
        memory = memoryview(bytearray(1000))
        for start in range(0, SIZE, len(memory)):
            piece = CONTENT[start : start + len(memory)]
            memory[: len(piece)] = piece
            sink(memory[: len(piece)])

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
