"""The contract of `registry.store.contract.ManagedStore`, for the real store and for the fake."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from registry.errors import StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import Body, FileBody
from registry.store.contract import ManagedStore as Store
from registry.store.ingests import Ingests
from registry.store.local import DiskStore
from registry.store.partial import SealedPartial
from tests.fakes.memory_store import MemoryStore

MIB = 1024 * 1024
CONTENT = bytes(range(256)) * 10
Sealer = Callable[..., SealedPartial]


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    (tmp_path / "blobs").mkdir()
    disk = DiskStore(tmp_path / "blobs", tmp_path)
    return disk if request.param == "disk" else MemoryStore()


@pytest.fixture
def seal(tmp_path: Path) -> Sealer:
    """Makes sealed partial files, as a download does: `seal(content)`."""
    numbers = iter(range(10))

    def make(content: bytes = CONTENT, algorithm: str = "sha256") -> SealedPartial:
        (folder := tmp_path / f"ingests-{next(numbers)}").mkdir()
        writer = Ingests(folder).take(Digest.of(content, algorithm))
        if content:
            writer.append([content])
        part = writer.seal()
        writer.close()
        return part

    return make


async def read(store: Store, digest: Digest, start: int, stop: int) -> bytes:
    return b"".join([piece async for piece in store.read(digest, Span(start, stop))])


async def read_body(body: Body | None, start: int = 0, stop: int = len(CONTENT)) -> bytes:
    """Read from an open blob, whichever way its store gives, and close it."""
    assert body is not None
    with closing(body):
        if isinstance(body, FileBody):
            return b"".join(os.pread(fd, to - at, at) for fd, at, to in body.slices(start, stop))
        return b"".join([chunk async for chunk in body.chunks(start, stop)])


async def scan(store: Store) -> list[tuple[Digest, int]]:
    return sorted([found async for found in store.scan()])


async def test_empty_store_has_nothing(store: Store) -> None:
    """What was never adopted is surely not there."""
    digest = Digest.of(CONTENT)

    assert await store.stat(digest) is None
    assert await store.open(digest) is None
    assert await scan(store) == []


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("content", [CONTENT, b"", b"x"], ids=["many", "none", "one"])
async def test_adopted_blob_is_there(
    store: Store, seal: Sealer, content: bytes, algorithm: str
) -> None:
    """A blob adopted can be asked for, read and found, whatever its size and algorithm."""
    part = seal(content, algorithm)

    await store.adopt(part)

    assert len(content) == await store.stat(part.digest)
    assert content == await read(store, part.digest, 0, len(content))
    assert [(part.digest, len(content))] == await scan(store)


async def test_adopted_part_leaves_the_spool(store: Store, seal: Sealer) -> None:
    """Adopting takes the part over: the spool holds nothing of it any more."""
    part = seal()
    await store.adopt(part)
    assert not part.path.exists()


async def test_adopting_again_is_harmless(store: Store, seal: Sealer) -> None:
    """The same blob from another spool changes nothing, and is taken over too."""
    first, second = seal(), seal()
    await store.adopt(first)

    await store.adopt(second)

    assert await read(store, first.digest, 0, len(CONTENT)) == CONTENT
    assert [(first.digest, len(CONTENT))] == await scan(store)
    assert not second.path.exists()


async def test_part_that_is_gone_cannot_be_adopted(store: Store, seal: Sealer) -> None:
    """A part that somebody took away is a disk's refusal, and no blob."""
    part = seal()
    part.path.unlink()

    with pytest.raises(StoreError):
        await store.adopt(part)

    assert await store.stat(part.digest) is None


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (1, 2560), (2559, 2560), (100, 200), (7, 7)])
async def test_spans_are_read(store: Store, seal: Sealer, start: int, stop: int) -> None:
    """Any span inside the blob gives exactly its bytes."""
    part = seal()
    await store.adopt(part)
    assert CONTENT[start:stop] == await read(store, part.digest, start, stop)


async def test_pieces_are_bounded(store: Store, seal: Sealer) -> None:
    """A large blob comes in pieces of at most 1 MiB, none of them empty."""
    part = seal(bytes(3 * MIB + 5))
    await store.adopt(part)

    sizes = [len(piece) async for piece in store.read(part.digest, Span(1, 3 * MIB + 5))]

    assert sum(sizes) == 3 * MIB + 4
    assert all(0 < size <= MIB for size in sizes)


async def test_reading_what_is_not_there_fails(store: Store) -> None:
    """An absent blob is no empty one."""
    with pytest.raises(StoreError):
        await read(store, Digest.of(CONTENT), 0, 1)


async def test_reading_behind_the_end_fails(store: Store, seal: Sealer) -> None:
    """A span longer than the blob is an error, never a short answer that looks whole."""
    part = seal()
    await store.adopt(part)
    with pytest.raises(StoreError):
        await read(store, part.digest, 0, len(CONTENT) + 1)


async def test_deleted_blob_is_gone(store: Store, seal: Sealer) -> None:
    """Deleting says whether there was something to delete, and then there is nothing."""
    part = seal()
    await store.adopt(part)

    assert await store.delete(part.digest)
    assert not await store.delete(part.digest)
    assert await store.stat(part.digest) is None
    assert await store.open(part.digest) is None
    assert await scan(store) == []


async def test_deleting_leaves_the_others(store: Store, seal: Sealer) -> None:
    """Deleting one blob deletes one blob."""
    kept, gone = seal(b"kept"), seal(b"gone")
    for part in (kept, gone):
        await store.adopt(part)

    await store.delete(gone.digest)
    assert [(kept.digest, 4)] == await scan(store)


async def test_reader_goes_on_when_the_blob_is_deleted(store: Store, seal: Sealer) -> None:
    """A reader of a blob gets all of it, although it is deleted meanwhile."""
    content = bytes(range(256)) * (3 * MIB // 256)
    part = seal(content)
    await store.adopt(part)
    pieces = store.read(part.digest, Span(0, len(content)))
    got = await anext(pieces)

    await store.delete(part.digest)

    assert content == got + b"".join([piece async for piece in pieces])


async def test_open_blob_has_its_bytes(store: Store, seal: Sealer) -> None:
    """An open blob has exactly its bytes, any span of them, even once it is deleted."""
    part = seal()
    await store.adopt(part)
    spans = ((0, len(CONTENT)), (0, 1), (7, 7), (100, 200))
    bodies = [await store.open(part.digest) for _ in spans]
    await store.delete(part.digest)
    for body, (start, stop) in zip(bodies, spans, strict=True):
        assert body is not None and body.size == len(CONTENT)  # noqa: PT018
        assert CONTENT[start:stop] == await read_body(body, start, stop)


async def adopt_many(store: Store, seal: Sealer) -> list[str]:
    """Adopt some blobs of both algorithms, and return their digests in the order of a scan."""
    parts = [seal(f"{number}".encode()) for number in range(6)]
    parts += [seal(f"{number}".encode(), "sha512") for number in range(3)]
    for part in parts:
        await store.adopt(part)
    return sorted(str(part.digest) for part in parts)


async def test_scan_is_in_the_order_of_digests(store: Store, seal: Sealer) -> None:
    """Blobs come in the order of their digests' text, whatever the order in which they came."""
    ordered = await adopt_many(store, seal)
    assert [str(digest) async for digest, _ in store.scan()] == ordered


async def test_scan_goes_on_after_a_digest(store: Store, seal: Sealer) -> None:
    """A scan that begins after a digest yields all later ones; the digest may be missing itself."""
    ordered = await adopt_many(store, seal)
    absent = [str(Digest.of(f"absent {number}".encode())) for number in range(9)]
    for after in (*ordered, *absent, f"sha256:{'0' * 64}", f"sha512:{'f' * 128}"):
        found = [str(digest) async for digest, _ in store.scan(after)]
        assert found == [each for each in ordered if each > after]


async def test_what_is_quarantined_is_not_here(store: Store, seal: Sealer) -> None:
    """A quarantined blob has no size, is not listed, and cannot be opened; other blobs can."""
    kept, gone = seal(b"kept"), seal(b"gone")
    for part in (kept, gone):
        await store.adopt(part)

    await store.quarantine(gone.digest)

    assert [each async for each in store.scan_quarantined()] == [(gone.digest, 4)]
    assert [await store.is_quarantined(part.digest) for part in (kept, gone)] == [False, True]
    assert await store.stat(gone.digest) is None
    assert await store.open(gone.digest) is None
    assert await scan(store) == [(kept.digest, 4)]
    with pytest.raises(StoreError):
        await read(store, gone.digest, 0, 1)
    assert not await store.delete(gone.digest)


async def test_what_was_quarantined_may_come_back(store: Store, seal: Sealer) -> None:
    """A blob that is adopted anew is here, and stays when its former self is discarded."""
    first, second = seal(), seal()
    await store.adopt(first)
    await store.quarantine(first.digest)
    await store.adopt(second)
    await store.delete_quarantined(first.digest)
    assert await read(store, first.digest, 0, len(CONTENT)) == CONTENT


async def test_setting_aside_and_discarding_twice_is_harmless(store: Store, seal: Sealer) -> None:
    """What is not here is not quarantined, and what is not in quarantine is not deleted."""
    part = seal()
    await store.adopt(part)
    await store.delete_quarantined(part.digest)
    assert await store.stat(part.digest) == len(CONTENT)
    for _ in range(2):
        await store.quarantine(part.digest)
    for _ in range(2):
        await store.delete_quarantined(part.digest)
    assert [each async for each in store.scan_quarantined()] == []
    assert await scan(store) == []


async def test_reader_goes_on_when_the_blob_is_quarantined(store: Store, seal: Sealer) -> None:
    """A reader reads an open blob to the end, though it is quarantined and then deleted."""
    part = seal()
    await store.adopt(part)
    body = await store.open(part.digest)
    await store.quarantine(part.digest)
    await store.delete_quarantined(part.digest)
    assert await read_body(body) == CONTENT


async def test_open_blob_is_claimed_in_vain(store: Store, seal: Sealer) -> None:
    """As long as a blob is open nobody may claim it, and then anybody may."""
    part = seal()
    await store.adopt(part)
    body = await store.open(part.digest)
    with store.claim(part.digest) as is_free:
        assert not is_free
    await read_body(body)
    for _ in range(2):
        with store.claim(part.digest) as is_free:
            assert is_free


async def test_claimed_blob_can_be_deleted_and_read(store: Store, seal: Sealer) -> None:
    """Who opens a blob while it is claimed and deleted has all of it; then it is gone."""
    part = seal()
    await store.adopt(part)
    with store.claim(part.digest) as is_free:
        assert is_free
        body = await store.open(part.digest)
        assert await store.delete(part.digest)
    assert await read_body(body) == CONTENT
    assert await store.stat(part.digest) is None
