"""A catalog file that is shorter than its header says: truncated, or its writer was killed."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from registry.catalog.database import migrate
from registry.catalog.preparation import prepare

ROWS = 3000


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A catalog after a kill: most rows are in its log, and the header has the final size."""
    path = tmp_path / "catalog.db"
    migrate(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("BEGIN")
        rows = ((f"sha256:{number:064x}", number) for number in range(ROWS))
        connection.executemany("INSERT INTO reservations VALUES (?, ?)", rows)
        connection.execute("COMMIT")
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        copy = tmp_path / "killed"
        copy.mkdir()
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", copy / f"catalog.db{suffix}")
    with (copy / "catalog.db").open("r+b") as file:
        file.seek(28)
        file.write(pages.to_bytes(4))
    return copy / "catalog.db"


def is_lost(path: Path) -> bool:
    calls: list[bool] = []
    prepare(path, lambda: calls.append(True))
    return bool(calls)


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM reservations").fetchone()[0])


def test_a_checkpoint_that_was_cut_short_is_no_loss(crashed: Path) -> None:
    """With its log the catalog is complete, and all rows are read."""
    assert not is_lost(crashed)
    assert count(crashed) == ROWS


def test_a_short_file_without_its_log_is_put_aside(crashed: Path) -> None:
    """Without its log a short file is damaged."""
    crashed.with_name("catalog.db-wal").unlink()
    assert is_lost(crashed)
    assert crashed.with_name("catalog.db.broken").exists()
    assert count(crashed) == 0


def test_a_file_that_is_cut_beyond_its_log_is_put_aside(crashed: Path) -> None:
    """If pages are missing that the log does not have, the file is damaged."""
    with closing(sqlite3.connect(crashed)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("UPDATE usage SET bytes = 1")
        connection.commit()
        shutil.copy(f"{crashed}-wal", crashed.with_name("kept-wal"))
    with crashed.open("r+b") as file:
        file.truncate(crashed.stat().st_size // 8)
    crashed.with_name("kept-wal").replace(crashed.with_name("catalog.db-wal"))
    assert is_lost(crashed)
