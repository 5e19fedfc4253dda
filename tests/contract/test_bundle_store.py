"""A bundle as a blob store obeys the contract's laws of reading: in one file, and in volumes."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from registry.bundle.read.blob_store import BundleStore
from registry.bundle.read.open import open_paths
from registry.errors import StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from tests.harness.bundle_files import plan, write_tar, write_volumes
from tests.harness.filled_folder import open_filled

MIB = 1024 * 1024
LARGE = bytes(range(256)) * (3 * MIB // 256) + b"end"
BLOBS = (LARGE, b"", b"x")
NAME = "docker.io/library/app:1"


@pytest.fixture(params=["tar", "volumes"])
async def paths(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Path]]:
    """The files of a bundle with an image of these layers."""
    async with open_filled(tmp_path / "filled") as filled:
        await filled.put_image(NAME, BLOBS)
        planned = await plan(filled, [NAME])
        if request.param == "tar":
            yield [await write_tar(filled, planned, tmp_path / "b.tar")]
        else:
            yield await write_volumes(filled, planned, tmp_path, MIB)


@pytest.fixture
def store(paths: list[Path], tmp_path: Path) -> Iterator[BundleStore]:
    proofs = tmp_path / "proofs"
    proofs.mkdir()
    with ExitStack() as stack:
        yield BundleStore.over(stack.enter_context(open_paths(paths)), proofs)


async def read(store: BundleStore, content: bytes, start: int, stop: int) -> bytes:
    pieces = store.read(Digest.of(content), Span(start, stop))
    return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("content", BLOBS, ids=["many", "none", "one"])
async def test_blobs_are_there(store: BundleStore, content: bytes) -> None:
    """Each blob has its size and its bytes, and is found by a scan."""
    digest = Digest.of(content)
    assert len(content) == await store.stat(digest)
    assert content == await read(store, content, 0, len(content))
    assert (digest, len(content)) in [found async for found in store.scan()]


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (7, 7), (MIB - 100_000, MIB + 1), (len(LARGE) - 1, len(LARGE))]
)
async def test_spans_are_read(store: BundleStore, start: int, stop: int) -> None:
    """Any span gives exactly its bytes, for every way in which the blob is cut."""
    assert LARGE[start:stop] == await read(store, LARGE, start, stop)


async def test_pieces_are_bounded(store: BundleStore) -> None:
    """Pieces have at most 1 MiB, and none is empty."""
    pieces = store.read(Digest.of(LARGE), Span(1, len(LARGE)))
    sizes = [len(piece) async for piece in pieces]
    assert sum(sizes) == len(LARGE) - 1
    assert all(0 < size <= MIB for size in sizes)


async def test_an_open_file_has_the_blob(store: BundleStore) -> None:
    """The open files have its bytes, in order, and all of them can be closed."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    file = await store.open(Digest.of(LARGE))
    assert file is not None
    assert file.size == len(LARGE)
    for start, stop in ((0, len(LARGE)), (5, 5), (MIB - 100_000, 2 * MIB)):
        found = [
            os.pread(descriptor, last - first, first)
            for descriptor, first, last in file.slices(start, stop)
        ]
        assert b"".join(found) == LARGE[start:stop]
    file.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


async def test_a_missing_blob(store: BundleStore) -> None:
    """A missing blob has no size, and reading after the end of a blob is an error."""
    assert await store.stat(Digest.of(b"absent")) is None
    assert await store.open(Digest.of(b"absent")) is None
    for content, stop in ((b"absent", 1), (LARGE, len(LARGE) + 1)):
        with pytest.raises(StoreError):
            await read(store, content, 0, stop)


async def test_scan_goes_on_after_a_digest(store: BundleStore) -> None:
    """A scan yields blobs in the order of their digests as text, and can start after any digest."""
    ordered = [str(digest) async for digest, _ in store.scan()]
    assert ordered == sorted(ordered)
    for after in ordered:
        found = [str(digest) async for digest, _ in store.scan(after)]
        assert found == [each for each in ordered if each > after]


async def test_a_damaged_blob_is_not_served(paths: list[Path], tmp_path: Path) -> None:
    """A damaged blob is neither opened nor read, and afterwards has no size, in all processes."""
    proofs = tmp_path / "proofs"
    proofs.mkdir()
    spoil(paths, LARGE[1000:3000])
    with open_paths(paths) as opened:
        store = BundleStore.over(opened, proofs)
    assert await store.open(Digest.of(LARGE)) is None
    assert await store.stat(Digest.of(LARGE)) is None
    with pytest.raises(StoreError):
        await read(store, LARGE, 0, 1)
    assert await read(store, b"x", 0, 1) == b"x"
    with open_paths(paths) as opened:
        other = BundleStore.over(opened, proofs)
    assert not await other.is_right(Digest.of(LARGE))


def spoil(paths: list[Path], content: bytes) -> None:
    """Flip a bit where some file has this content."""
    for path in paths:
        raw = bytearray(path.read_bytes())
        place = raw.find(content)
        if place >= 0:
            raw[place] ^= 1
            path.write_bytes(raw)
            return
    raise AssertionError("no file has it")
