"""A catalog with one bad page: it is found at the start, and by the first query that reads it."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from registry.catalog.audits import AuditCatalog
from registry.catalog.database import Database, migrate
from registry.catalog.preparation import prepare
from registry.errors import StoreError

PAGE = 4096
ROWS = 120
FAULTS: tuple[Callable[[bytes], bytes], ...] = (
    lambda _: bytes(PAGE),
    lambda _: b"\xff" * PAGE,
    lambda page: random.Random(page).randbytes(PAGE),
    lambda _: b"the text of another file\n".ljust(PAGE, b"."),
)
ROW = {
    "manifests": "'{0:064}', 'a/b', 1, '{0:064}', '', '{{}}'",
    "links": "'{0:064}', '{0:065}', 0, 'a/b', 1",
    "holdings": "'docker.io/library/a', '{0:064}', 1.0",
    "tags": "'docker.io/library/a', 't{0}', '{0:064}', 1.0, '', '', '', 0, 0, 0",
    "blobs": "'{0:064}', 1, 1.0",
    "pulls": "'{0:064}', 'docker.io/library/a', 't{0}', '10.0.0.1', 1.0",
    "pins": "'docker.io/library/a', 't{0}', '{0:064}', 1, '', 1.0",
    "reservations": "'{0:064}', 1",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a catalog in which each of these tables has several pages."""
    path = tmp_path_factory.mktemp("sound") / "catalog.db"
    migrate(path)
    with closing(sqlite3.connect(path)) as rows:
        for table, values in ROW.items():
            for number in range(ROWS):
                rows.execute(f"INSERT INTO {table} VALUES ({values.format(number)})")
        rows.commit()
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def spoil(sound: bytes, number: int, fault: Callable[[bytes], bytes]) -> bytes:
    """Overwrite the page with this number, from 0 on."""
    start = number * PAGE
    return sound[:start] + fault(sound[start : start + PAGE]) + sound[start + PAGE :]


def is_lost(path: Path) -> bool:
    calls: list[bool] = []
    prepare(path, lambda: calls.append(True))
    return bool(calls)


@pytest.mark.parametrize(
    "turn", [0, *(pytest.param(turn, marks=pytest.mark.programs) for turn in (1, 2, 3))]
)
def test_each_bad_page_is_found_at_the_start(sound: bytes, path: Path, turn: int) -> None:
    """Whichever page has other bytes, the file is renamed, and a new catalog is made."""
    count = len(sound) // PAGE
    assert count > 35
    missed = []
    for number in range(count):
        for each in path.parent.iterdir():
            each.unlink()
        write(path, spoil(sound, number, FAULTS[(number + turn) % len(FAULTS)]))
        if not is_lost(path):
            missed.append(number)
    assert missed == []
    with closing(sqlite3.connect(path)) as rows:
        assert rows.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_sound_catalog_is_kept(sound: bytes, path: Path) -> None:
    """The check finds nothing where nothing is wrong."""
    write(path, sound)
    assert not is_lost(path)


def test_what_a_process_found_is_believed(sound: bytes, path: Path) -> None:
    """A catalog is put aside if a process has found damage, even if this check finds none."""
    write(path, sound)
    calls: list[bool] = []
    prepare(path, lambda: calls.append(True), is_damaged=True)
    assert calls == [True]
    assert path.with_name("catalog.db.broken").read_bytes() == sound


@pytest.mark.parametrize("table", ["usage", "revision"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "INSERT INTO {} VALUES (1)"])
def test_a_table_with_one_row_has_one_row(
    sound: bytes, path: Path, table: str, change: str
) -> None:
    """A page of another table in the place of this one may be a right page for SQLite."""
    write(path, sound)
    with closing(sqlite3.connect(path)) as rows:
        rows.execute(change.format(table))
        rows.commit()
    assert is_lost(path)


QUERIES = {
    "manifests": "SELECT * FROM manifests",
    "tags": "SELECT * FROM tags",
    "blobs": "SELECT * FROM blobs",
    "tags_by_digest": "SELECT digest FROM tags INDEXED BY tags_by_digest WHERE repository > ''",
}


def find_root(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as rows:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        return int(rows.execute(query, (name,)).fetchone()[0]) - 1


async def ask(database: Database, query: str, how: str) -> None:
    match how:
        case "read":
            database.read(query)
        case "survey":
            await database.survey(lambda rows: rows.execute(query).fetchall())
        case "write":
            await database.write(lambda rows: rows.execute(query).fetchall())
        case "check":
            await AuditCatalog(database).check()


@pytest.mark.parametrize("how", ["read", "survey", "write", "check"])
@pytest.mark.parametrize("name", QUERIES)
async def test_the_first_query_that_reads_it_finds_it(
    sound: bytes, path: Path, name: str, how: str
) -> None:
    """The damage is noted once, and the error says what makes the catalog again."""
    write(path, sound)
    noted: list[bool] = []
    async with Database(path, on_damage=lambda: noted.append(True)) as database:
        write(path, spoil(sound, find_root(path, name), FAULTS[1]))
        for _ in range(2):
            with pytest.raises(StoreError, match=r"is damaged.*entrepot serve"):
                await ask(database, QUERIES[name], how)
    assert noted == [True]


@pytest.mark.parametrize("name", ["sqlite_schema", "no database"])
async def test_a_catalog_that_cannot_be_opened_is_noted(
    sound: bytes, path: Path, name: str
) -> None:
    """The damage is also noted where not even the tables can be read."""
    bad = spoil(sound, 0, FAULTS[3])
    if name == "sqlite_schema":
        bad = sound[:100] + b"\xff" * (PAGE - 100) + sound[PAGE:]
    write(path, bad)
    noted: list[bool] = []
    with pytest.raises(StoreError, match="is damaged"):
        async with Database(path, on_damage=lambda: noted.append(True)):
            pass
    assert noted == [True]


async def test_another_error_is_no_damage(sound: bytes, path: Path) -> None:
    """A query that cannot be answered says nothing about the file."""
    write(path, sound)
    noted: list[bool] = []
    async with Database(path, on_damage=lambda: noted.append(True)) as database:
        with pytest.raises(StoreError, match="no such table"):
            database.read("SELECT * FROM nowhere")
    assert noted == []
