"""Laws of blobs that stay open: no permission is used after a change, and no file is kept long."""

import asyncio
import os
from pathlib import Path

import pytest

from registry.mirror import kept_blobs
from registry.mirror.blob_bodies import StoredBlob
from registry.mirror.cache_status import CacheStatus
from registry.mirror.kept_blobs import KeptBlob
from registry.store.contract import FileBody
from tests.harness.process_parts import ProcessParts
from tests.unit.mirror.test_reopened_blobs import CHANGES, process, site
from tests.unit.mirror.trust_site import CONTENT, DIGEST, OTHER

__all__ = ["process", "site"]  # fixtures
SEEN = [name for name in CHANGES if "the file" not in name]  # changes of the catalog


@pytest.mark.parametrize("name", SEEN)
async def test_nothing_is_taken_after(process: ProcessParts, name: str) -> None:
    """Each of these is a change of the catalog, which the next request sees."""
    kept = process.blobs.keep(OTHER, DIGEST)
    assert kept.take() is None
    first = await kept.open(keep=True)
    second = kept.take()
    assert first is not None
    assert second is first
    assert second.blob.size == len(CONTENT)
    await CHANGES[name](process)
    assert kept.take() is None
    assert await kept.open(keep=True) is None
    for opened in (first, second):
        assert os.fstat(first.blob.body.descriptor)  # type: ignore[union-attr]
        opened.release()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(first.blob.body.descriptor)  # type: ignore[union-attr]


async def test_a_change_by_another_process_is_seen(process: ProcessParts) -> None:
    """Also one that has nothing to do with the blob; then it is opened again."""
    kept = process.blobs.keep(OTHER, DIGEST)
    opened = await kept.open(keep=True)
    assert opened is not None
    opened.release()
    await process.database.write(lambda rows: rows.execute("UPDATE revision SET number = 9"))
    assert kept.take() is None
    again = await kept.open(keep=False)
    assert again is not None
    assert kept.take() is None
    again.release()


class Files:
    """Opens one file, and knows how many of its descriptors are open."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(b"x")
        self._path = path
        self._kept: set[KeptBlob] = set()

    async def _open(self) -> StoredBlob:
        return StoredBlob(FileBody(os.open(self._path, os.O_RDONLY), 1), CacheStatus.HIT)

    def keep(self) -> KeptBlob:
        return KeptBlob(self._open, lambda: 1, self._kept)

    def count(self) -> int:
        links = Path("/proc/self/fd").iterdir()
        return sum(os.path.realpath(link) == str(self._path.resolve()) for link in links)


async def test_a_file_is_closed_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An eviction would leave it otherwise; an answer that is being sent goes on with it."""
    monkeypatch.setattr(kept_blobs, "KEEP", 0.01)
    files = Files(tmp_path / "blob")
    kept = files.keep()
    sending, over = await kept.open(keep=True), kept.take()
    assert sending is not None
    assert over is sending
    over.release()
    await asyncio.sleep(0.05)
    assert kept.take() is None
    assert files.count() == 1
    sending.release()
    assert files.count() == 0


async def test_few_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for parts of many blobs does not use up the descriptors."""
    monkeypatch.setattr(kept_blobs, "MOST", 3)
    monkeypatch.setattr(kept_blobs, "KEEP", 0.01)
    files = Files(tmp_path / "blob")
    for _ in range(5):
        opened = await files.keep().open(keep=True)
        assert opened is not None
        opened.release()
    assert files.count() == 3
    await asyncio.sleep(0.05)
    assert files.count() == 0
