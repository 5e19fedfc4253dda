"""One connection to the SQLite file of the catalog."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
BUSY = 10.0  # seconds that a write waits for the write of another process


def connect(path: Path, *, must_exist: bool = False) -> sqlite3.Connection:
    """Return a new connection to the file, in which each statement is a transaction.

    SQLite makes the file if it is missing, unless it `must_exist`.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw" if must_exist else path,
        uri=must_exist,
        timeout=BUSY,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    # With WAL and NORMAL a power failure may undo the last commits, but damages no file. Blobs and
    # tag files were synced before.
    connection.execute("PRAGMA synchronous = NORMAL")
    # Large queries would write to a disk that may be full, and is often the same.
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the bytes of the catalog are not those that SQLite wrote."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def transact(connection: sqlite3.Connection, change: Callable[[sqlite3.Connection], T]) -> T:
    """Run `change` in a transaction that may write; what it raises undoes all of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = change(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # on a full disk SQLite may have rolled back itself
            connection.execute("ROLLBACK")
        raise
    return result


def read_version(connection: sqlite3.Connection) -> int:
    """Return the number of the last migration of a catalog; 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
