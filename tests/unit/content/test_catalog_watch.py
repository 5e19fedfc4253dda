"""Laws of watching the catalog: a server notices that it has to be made or opened again."""

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.catalog.database import migrate
from registry.content import catalog_watch
from registry.content.catalog_watch import CatalogWatch
from registry.errors import CatalogLost
from registry.store.data_folder import DataFolder, open_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    monkeypatch.setattr(catalog_watch, "PERIOD", 0.001)
    folder = open_folder(tmp_path)
    migrate(folder.catalog)
    return folder


def watch(folder: DataFolder) -> CatalogWatch:
    """Watch the file that is the catalog now."""
    return CatalogWatch(folder, folder.identify_catalog())


def mark(folder: DataFolder) -> None:
    folder.lost.write_bytes(b"damaged\n")


def replace(folder: DataFolder) -> None:
    """As another server does that has made the catalog again, or an operator who restores it."""
    other = folder.root / "other.db"
    migrate(other)
    other.replace(folder.catalog)


def delete(folder: DataFolder) -> None:
    folder.catalog.unlink()


@pytest.mark.parametrize("change", [mark, replace, delete])
@pytest.mark.parametrize("is_early", [True, False])
async def test_a_catalog_that_is_lost_is_noticed(
    folder: DataFolder, change: Callable[[DataFolder], None], is_early: bool
) -> None:
    """Whether it is damaged, replaced or deleted, and whenever: all processes have to know."""
    early = watch(folder)
    if is_early:
        change(folder)
    watching = asyncio.create_task(early.keep_watching())
    if not is_early:
        await asyncio.sleep(0.01)
        assert not watching.done()
        change(folder)
    async with asyncio.timeout(20):
        with pytest.raises(CatalogLost):
            await watching


async def test_writing_to_the_catalog_is_no_loss(folder: DataFolder) -> None:
    """A file that changes in place is the same file."""
    watching = asyncio.create_task(watch(folder).keep_watching())
    folder.catalog.touch()
    await asyncio.sleep(0.02)
    assert not watching.done()
    watching.cancel()


@pytest.mark.parametrize("name", ["catalog.db", "CATALOG-LOST"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
async def test_a_disk_that_refuses_for_a_moment_is_no_loss(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    """All workers would stop, and the catalog would be made again from all files."""
    looks, stat = [0], Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if path.name == name:
            looks[0] += 1
            raise OSError(code, os.strerror(code), str(path))
        return stat(path, **options)

    watching = asyncio.create_task(watch(folder).keep_watching())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refuse)
        for _ in range(2000):
            if looks[0] > 2 or watching.done():
                break
            await asyncio.sleep(0.001)
    assert not watching.done()
    delete(folder)
    async with asyncio.timeout(20):
        with pytest.raises(CatalogLost):
            await watching
