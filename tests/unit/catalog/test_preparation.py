"""Laws of a catalog that cannot be used: it is renamed unchanged, and a new one is made."""

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from registry.catalog.database import Database, migrate
from registry.catalog.preparation import prepare
from registry.errors import StoreTooNew

INSERT = "INSERT INTO blobs VALUES ('a', 1, 0.0)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


def is_lost(path: Path) -> bool:
    """Prepare a catalog, and return whether it is a new one."""
    calls: list[bool] = []
    prepare(path, lambda: calls.append(True))
    return bool(calls)


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def break_header(path: Path) -> None:
    path.write_bytes(b"\0" * 16 + path.read_bytes()[16:])


def break_schema(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def write_garbage(path: Path) -> None:
    path.write_bytes(b"this is no catalog at all")


def drop_table(path: Path) -> None:
    ask(path, "DROP TABLE holdings")


DROP = drop_table


@pytest.mark.parametrize("is_empty", [True, False])
def test_without_a_catalog_a_new_one_is_made(path: Path, is_empty: bool) -> None:
    """If the file is missing or empty, a new catalog is made and reported as lost."""
    if is_empty:
        path.touch()
    assert is_lost(path)
    assert ask(path, "SELECT * FROM blobs") == []
    assert not is_lost(path), "now it is there"


def test_a_catalog_in_use_is_left_alone(path: Path) -> None:
    """A usable catalog keeps all rows, also those in its log, and is not lost."""
    migrate(path)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute(INSERT)
    assert not is_lost(path)
    assert ask(path, "SELECT digest FROM blobs") == [("a",)]
    writer.close()
    assert sorted(each.name for each in path.parent.iterdir()) == ["catalog.db"]


@pytest.mark.parametrize("spoil", [break_header, break_schema, cut, write_garbage, DROP])
def test_what_cannot_be_used_is_put_aside(path: Path, spoil: object) -> None:
    """A damaged file is renamed without a change, and the new catalog is empty."""
    migrate(path)
    ask(path, INSERT)
    spoil(path)  # type: ignore[operator]
    spoilt = path.read_bytes()

    assert is_lost(path)

    assert ask(path, "SELECT * FROM blobs") == []
    assert path.with_name("catalog.db.broken").read_bytes() == spoilt


def test_the_log_of_a_spoilt_catalog_spoils_no_new_one(path: Path) -> None:
    """The log files of a damaged catalog are renamed with it."""
    migrate(path)
    write_garbage(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(f"catalog.db{suffix}").write_bytes(b"left")
    assert is_lost(path)
    assert path.with_name("catalog.db.broken").exists()
    assert path.with_name("catalog.db.broken-wal").read_bytes() == b"left"
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_catalog_of_a_newer_version_is_not_touched(path: Path) -> None:
    """A newer catalog is refused and not renamed, since it is not damaged."""
    migrate(path)
    ask(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew):
        is_lost(path)
    assert not path.with_name("catalog.db.broken").exists()


async def test_a_former_version_is_migrated_not_replaced(path: Path) -> None:
    """A catalog without the newest tables is migrated and keeps its rows."""
    (first,) = (files("registry.catalog") / "migrations").glob("0001_*.sql")
    with closing(sqlite3.connect(path)) as rows:
        rows.executescript(first.read_text(encoding="utf-8"))
    ask(path, INSERT.replace("1, 0.0", "7, 0.0"))
    ask(path, "PRAGMA user_version = 1")
    assert not is_lost(path)
    async with Database(path) as database:
        assert database.read("SELECT digest, size FROM blobs") == [("a", 7)]
        assert database.read("SELECT bytes FROM usage") == [(7,)], "what was there is counted"
