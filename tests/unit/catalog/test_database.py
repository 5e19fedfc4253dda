"""Laws of the catalog's file: migrations, transactions, and what other processes see."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from registry.catalog.database import Database, migrate
from registry.errors import CatalogLost, StoreError, StoreTooNew

INSERT = "INSERT INTO blobs VALUES (?, 1, 0.0)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


async def insert(database: Database, digest: str) -> None:
    await database.write(lambda rows: rows.execute(INSERT, (digest,)))


async def test_empty_file_is_migrated(path: Path) -> None:
    """An empty file gets the newest schema, in WAL mode."""
    async with Database(path) as database:
        assert database.read("SELECT * FROM blobs") == []

    assert ask(path, "PRAGMA journal_mode") == [("wal",)]
    assert ask(path, "PRAGMA user_version") > [(0,)]


async def test_migrating_again_changes_nothing(path: Path) -> None:
    """A migration of an up-to-date catalog changes nothing, and keeps all rows."""
    async with Database(path) as database:
        await insert(database, "a")
    schema = ask(path, "SELECT sql FROM sqlite_master ORDER BY name")

    migrate(path)

    assert schema == ask(path, "SELECT sql FROM sqlite_master ORDER BY name")
    assert ask(path, "SELECT digest FROM blobs") == [("a",)]


async def test_many_may_migrate_at_once(path: Path) -> None:
    """Several workers that start together make one schema, and no migration fails."""
    await asyncio.gather(*[asyncio.to_thread(migrate, path) for _ in range(6)])
    async with Database(path) as database:
        assert database.read("SELECT * FROM blobs") == []


def test_newer_file_is_not_touched(path: Path) -> None:
    """A catalog of a newer version is refused, and not one byte of it changes."""
    migrate(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreTooNew) as caught:
        migrate(path)

    assert caught.value.found == 999
    assert before == path.read_bytes()


def test_garbage_is_refused(path: Path) -> None:
    """A file that is not a catalog raises a StoreError with its path, and is not changed."""
    path.write_bytes(b"no database at all, but long enough to be read as one" * 20)
    before = path.read_bytes()

    with pytest.raises(StoreError, match=r"catalog\.db"):
        migrate(path)

    assert before == path.read_bytes()


async def test_missing_folder_is_refused(tmp_path: Path) -> None:
    """A catalog that cannot be made raises a StoreError."""
    with pytest.raises(StoreError):
        async with Database(tmp_path / "nowhere" / "catalog.db"):
            pass


@pytest.mark.parametrize("is_empty", [False, True])
async def test_a_catalog_that_must_exist_is_not_made(path: Path, is_empty: bool) -> None:
    """Without its rows, the images of the data folder would be unknown, and nobody would notice."""
    if is_empty:
        ask(path, "PRAGMA user_version")  # makes an empty file
    damages: list[bool] = []

    with pytest.raises(CatalogLost, match="is lost"):
        async with Database(path, must_exist=True, on_damage=lambda: damages.append(True)):
            pass

    assert len([*path.parent.iterdir()]) == is_empty
    assert damages == []


async def test_a_catalog_that_was_deleted_is_not_made_again(path: Path) -> None:
    """A look at many rows opens the file anew."""
    migrate(path)
    async with Database(path, must_exist=True) as database:
        for each in path.parent.iterdir():
            each.unlink()
        with pytest.raises(CatalogLost, match="is lost"):
            await database.survey(lambda rows: rows.execute("SELECT 1").fetchall())

    assert [*path.parent.iterdir()] == []


async def test_a_catalog_with_a_strange_path_is_found(tmp_path: Path) -> None:
    """A path may have any characters, also those that have a meaning in a URI."""
    folder = tmp_path / "a?b#c%20d ü"
    folder.mkdir()
    migrate(folder / "catalog.db")

    async with Database(folder / "catalog.db", must_exist=True) as database:
        await insert(database, "a")

    assert ask(folder / "catalog.db", "SELECT digest FROM blobs") == [("a",)]


async def test_failing_change_leaves_nothing(path: Path) -> None:
    """A change that fails half-way is rolled back, and the next change succeeds."""

    def fail(rows: sqlite3.Connection) -> None:
        rows.execute(INSERT, ("half",))
        raise ValueError("half-way")

    async with Database(path) as database:
        with pytest.raises(ValueError, match="half-way"):
            await database.write(fail)
        await insert(database, "next")
        assert database.read("SELECT digest FROM blobs") == [("next",)]


async def test_impossible_change_is_a_store_error(path: Path) -> None:
    """An error of SQLite becomes a StoreError, and the next change succeeds."""
    async with Database(path) as database:
        await insert(database, "a")
        with pytest.raises(StoreError, match="UNIQUE"):
            await insert(database, "a")
        await insert(database, "b")


async def test_full_disk_says_so(path: Path) -> None:
    """The error names a full disk as the reason; when the disk has space again, writes succeed."""

    def fill(rows: sqlite3.Connection) -> None:
        pages = rows.execute("PRAGMA page_count").fetchone()[0]
        rows.execute(f"PRAGMA max_page_count = {pages + 3}")
        for number in range(10_000):
            rows.execute(INSERT, (f"{number}" * 100,))

    def free(rows: sqlite3.Connection) -> None:
        rows.execute("PRAGMA max_page_count = 1000000")

    async with Database(path) as database:
        with pytest.raises(StoreError, match="full"):
            await database.write(fill)
        await database.write(free)
        await insert(database, "after")
        assert database.read("SELECT digest FROM blobs") == [("after",)]


async def test_changes_of_others_are_seen(path: Path) -> None:
    """After a write of another process has returned, its change is visible."""
    async with Database(path) as here, Database(path) as there:
        await insert(there, "a")
        assert here.read("SELECT digest FROM blobs") == [("a",)]


async def test_own_changes_are_seen(path: Path) -> None:
    """After a write of this process has returned, its change is visible."""
    async with Database(path) as database:
        await insert(database, "a")
        assert database.read("SELECT digest FROM blobs") == [("a",)]


async def test_writers_take_turns(path: Path) -> None:
    """Many changes by two processes at once are all made."""
    async with Database(path) as here, Database(path) as there:
        names = [f"{side}{number}" for number in range(50) for side in "ab"]
        await asyncio.gather(*[insert(here if n[0] == "a" else there, n) for n in names])
        assert here.read("SELECT count(*) FROM blobs") == [(100,)]


async def test_closed_catalog_refuses(path: Path) -> None:
    """A query of a catalog that is not open raises a StoreError."""
    with pytest.raises(StoreError, match="not open"):
        Database(path).read("SELECT 1")


async def test_a_survey_is_of_one_moment(path: Path) -> None:
    """A survey does not see what another process writes during the survey."""
    async with Database(path) as here, Database(path) as there:
        await insert(there, "before")
        loop = asyncio.get_running_loop()

        def read(rows: sqlite3.Connection) -> list[tuple[object, ...]]:
            first = rows.execute("SELECT digest FROM blobs").fetchall()
            asyncio.run_coroutine_threadsafe(insert(there, "meanwhile"), loop).result(timeout=30)
            assert rows.execute("SELECT digest FROM blobs").fetchall() == first
            return first

        assert await here.survey(read) == [("before",)]
        assert (
            len(await here.survey(lambda rows: rows.execute("SELECT 1 FROM blobs").fetchall())) == 2
        )


async def test_an_impossible_survey_is_a_store_error(path: Path) -> None:
    """An error of SQLite in a survey becomes a StoreError; the next one succeeds."""
    async with Database(path) as database:
        with pytest.raises(StoreError, match="no such table"):
            await database.survey(lambda rows: rows.execute("SELECT * FROM strangers"))
        assert await database.survey(lambda rows: rows.execute("SELECT 1").fetchone()) == (1,)


async def test_a_copy_has_what_there_was(path: Path) -> None:
    """A copy is a complete catalog with the rows of the log; later writes are not in it."""
    other = path.with_name("copy.db")
    async with Database(path) as database:
        await insert(database, "a")
        await database.copy(other)
        await insert(database, "b")
        async with Database(other) as copy:
            assert copy.read("SELECT digest FROM blobs") == [("a",)]
            assert copy.read("PRAGMA integrity_check") == [("ok",)]


async def test_a_copy_to_nowhere_is_a_store_error(path: Path) -> None:
    """If a copy cannot be made, that is an error, and the catalog still works."""
    async with Database(path) as database:
        with pytest.raises(StoreError):
            await database.copy(path.parent / "missing" / "copy.db")
        await insert(database, "a")
