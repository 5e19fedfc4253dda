"""A catalog is not migrated while a server of an older version may be using it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from registry.catalog import database
from registry.errors import StoreError
from registry.store.data_folder import DataFolder, open_folder
from registry.store.files import take_lock
from registry.wiring.content import open_content
from registry.wiring.data_folder import open_data_folder
from tests.harness.filled_folder import make_settings

NEWEST = max(database.read_migrations())


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    """A data folder as the last version but one wrote it."""
    folder = open_folder(tmp_path / "data")
    steps = dict(database.read_migrations())
    del steps[NEWEST]
    with monkeypatch.context() as patched:
        patched.setattr(database, "read_migrations", lambda: steps)
        database.migrate(folder.catalog)
    return folder


@pytest.fixture
def server(old: DataFolder) -> Iterator[int]:
    """The lock of a running server; a server that has ended has left its folder."""
    for name in ("ended", "running"):
        (old.root / "metrics" / name).mkdir(parents=True)
        (old.root / "metrics" / name / "lock").touch()
    lock = take_lock(old.root / "metrics" / "running" / "lock")
    assert lock is not None
    yield lock
    os.close(lock)


def read_version(folder: DataFolder) -> int:
    with closing(sqlite3.connect(folder.catalog)) as rows:
        return int(rows.execute("PRAGMA user_version").fetchone()[0])


async def test_no_command_migrates_beside_an_older_server(old: DataFolder, server: int) -> None:
    """The error names what to stop, and the catalog is not changed."""
    with pytest.raises(StoreError, match=r"stop the server first.*fuser -v .*running/lock"):
        async with open_content(make_settings(old.root)):
            pass
    assert read_version(old) < NEWEST


def test_no_newer_server_starts_beside_an_older_one(old: DataFolder, server: int) -> None:
    """A second server on the same data folder would migrate too, so it does not start."""
    with pytest.raises(StoreError, match="stop the server first"):
        open_data_folder(make_settings(old.root))
    assert read_version(old) < NEWEST


async def test_a_command_migrates_when_the_server_has_ended(old: DataFolder) -> None:
    """Without a running server the first command migrates, as before."""
    async with open_content(make_settings(old.root)):
        assert read_version(old) == NEWEST


async def test_a_server_of_this_version_hinders_no_command(old: DataFolder, server: int) -> None:
    """A catalog of this version is opened beside a server."""
    database.migrate(old.catalog)
    async with open_content(make_settings(old.root)):
        assert open_data_folder(make_settings(old.root)) == old
