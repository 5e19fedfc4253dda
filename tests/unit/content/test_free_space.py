"""Laws of the free space: each reserved byte is counted once, wherever it is at the moment."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from registry.content.free_space import FreeSpace
from registry.errors import StoreError
from registry.oci.digest import Digest
from registry.store.partial import PartialWriter
from tests.unit.content.content_site import Site, open_site

UNIT = 4096  # bytes of a block: a file takes whole blocks
DISK, RESERVE = 44 * UNIT, 2 * UNIT
FIRST = b"f" * 24 * UNIT
DIGEST = Digest.of(FIRST)
SECOND, LARGE = 8 * UNIT, 19 * UNIT  # of which only the first fits beside the first blob


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """A data folder on a file system of `DISK` bytes, of which its blobs take some."""

    def measure(_: FreeSpace) -> int:
        folders = (tmp_path / "blobs", tmp_path / "spool")
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return DISK - sum(path.stat().st_blocks * 512 for path in files)

    monkeypatch.setattr(FreeSpace, "measure", measure)
    async with open_site(tmp_path, limit=1000 * UNIT, reserve=RESERVE) as site:
        yield site


def take(site: Site, content: bytes) -> PartialWriter:
    writer = site.ingests.take(DIGEST)
    assert writer is not None
    if content:
        writer.append([content])
    return writer


async def promise(site: Site) -> PartialWriter:
    await site.room.reserve(DIGEST, len(FIRST))
    return take(site, b"")


async def write_half(site: Site) -> PartialWriter:
    await site.room.reserve(DIGEST, len(FIRST))
    return take(site, FIRST[: len(FIRST) // 2])


async def write_all(site: Site) -> PartialWriter:
    await site.room.reserve(DIGEST, len(FIRST))
    return take(site, FIRST)


async def adopt(site: Site) -> PartialWriter:
    """As between the rename into `blobs/` and the record."""
    writer = await write_all(site)
    await site.store.adopt(writer.seal())
    return writer


async def record(site: Site) -> PartialWriter:
    writer = await adopt(site)
    await site.room.record(DIGEST, len(FIRST))
    return writer


async def write_parts(site: Site) -> None:
    """As in an import of a blob that is cut over volumes: its last half comes first."""
    await site.room.reserve(DIGEST, len(FIRST))
    half = len(FIRST) // 2
    parts = site.ingests.open_sparse(DIGEST, len(FIRST))
    assert parts is not None
    parts.add(half, Digest.of(FIRST[half:]), [FIRST[half:]])
    parts.close()


async def die(site: Site) -> None:
    """As after a kill in the middle of a download."""
    (await write_half(site)).close()


STAGES = {
    each.__name__: each
    for each in (promise, write_half, write_all, adopt, record, write_parts, die)
}


@pytest.mark.parametrize("stage", STAGES)
async def test_each_byte_is_counted_once(site: Site, stage: str) -> None:
    """At every stage of a blob another one gets its space if both fit, and only then."""
    begin: Callable[[Site], Awaitable[PartialWriter | None]] = STAGES[stage]
    writer = await begin(site)
    before = site.list_files()

    await site.room.reserve(Digest.of(b"second"), SECOND)
    await site.room.release_reservation(Digest.of(b"second"))
    if writer is not None and stage != "record":  # a recorded blob may be evicted for it
        with pytest.raises(StoreError, match=r"storage\.reserve"):
            await site.room.reserve(Digest.of(b"large"), LARGE)

    assert site.list_files() == before
    if writer is not None:
        writer.close()


async def test_bytes_of_a_dead_writer_are_promised_to_its_successor(site: Site) -> None:
    """An import that was killed and is run again at once has as much space as the first time."""
    before = await site.content.usage.measure_space({DIGEST})
    await die(site)
    after = await site.content.usage.measure_space({DIGEST})

    assert before == DISK - RESERVE
    assert after == before - len(FIRST) // 2


async def test_bytes_for_others_are_not_available(site: Site) -> None:
    """What a running download has reserved is not there for an import."""
    writer = await write_half(site)
    available = await site.content.usage.measure_space({Digest.of(b"other")})
    writer.close()

    # A partial file is without its last byte, which is still promised.
    assert available == DISK - RESERVE - len(FIRST) - 1


async def test_quarantined_bytes_are_available(site: Site) -> None:
    """An import may use the space of damaged blobs, since they are deleted first."""
    (await record(site)).close()
    await site.room.quarantine(DIGEST, "damaged")

    assert await site.content.usage.measure_space(set()) >= DISK - RESERVE
