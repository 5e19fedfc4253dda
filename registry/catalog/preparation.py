"""Before the catalog is opened: whether it is there, is sound, and is of this version."""

import math
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from registry.catalog.connection import connect, is_damage, read_version
from registry.catalog.database import migrate, read_migrations, refuse_newer

_TABLES = frozenset({"manifests", "links", "holdings", "tags", "blobs"})
_STEPS = 10_000  # of SQLite, between two looks at the clock
_SINGLE_ROWS = frozenset({"usage", "revision"})  # tables that have exactly one row


def prepare(
    path: Path,
    mark_lost: Callable[[], None],
    *,
    is_damaged: bool = False,
    sound: bool | None = None,
) -> None:
    """Make sure that there is a catalog of this version at `path`.

    `mark_lost` is called before a new catalog is made; its rows have to be made from the files.
    A damaged catalog is renamed to `catalog.db.broken`. `is_damaged` says that a process has found
    damage that `is_sound` may not find, and `sound` is its result, if it was called before.

    Raises:
        StoreError: the disk refused.
        StoreTooNew: a newer version has migrated the catalog; it was not changed.
    """
    if not is_missing(path):
        sound = is_sound(path) if sound is None else sound
        if is_damaged or not sound:
            _put_aside(path)
    if is_missing(path):
        mark_lost()
    migrate(path)


def _put_aside(path: Path) -> None:
    # The file itself last: until then, the next start would find the damage again.
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            aside = path.with_name(f"{path.name}.broken{suffix}")
            path.with_name(f"{path.name}{suffix}").replace(aside)


def is_missing(path: Path) -> bool:
    """Whether the file of the catalog is missing or empty."""
    return not path.exists() or not path.stat().st_size


def is_older(path: Path) -> bool:
    """Whether `migrate` would change the schema of the catalog at `path`.

    False if there is no catalog yet, and if it cannot be read: then `migrate` says why.
    """
    if is_missing(path):
        return False
    try:
        with closing(connect(path)) as connection:
            reached = read_version(connection)
    except sqlite3.Error:
        return False
    return 0 < reached < max(read_migrations())


def check_version(path: Path) -> None:
    """Refuse the catalog that `migrate` would refuse, without a change.

    Raises:
        StoreTooNew: a newer version has migrated it.
    """
    if is_missing(path):
        return
    with suppress(sqlite3.Error), closing(connect(path)) as connection:
        refuse_newer(connection, path, max(read_migrations()))


def is_open_elsewhere(path: Path) -> bool:
    """Whether another connection has the catalog open; this process must have none.

    SQLite ends the mode WAL only for the last connection (SQLite documentation, "Write-Ahead
    Logging", section 3.3). The next `migrate` begins it again.
    """
    if is_missing(path):
        return False
    try:
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.Error:
        return True
    return bool(mode != "delete")


def is_sound(path: Path, seconds: float = math.inf) -> bool:
    """Whether the file is a catalog with all its tables, and SQLite can read every page of it.

    A page with other bytes than those that were written is nearly always found: this reads the
    whole file, but does not compare the rows with each other (decision record 0022). After
    `seconds`, the rest is not read, and is taken for sound.
    """
    log = path.with_name(f"{path.name}-wal")
    if _is_short(path) and not (log.exists() and log.stat().st_size):
        return False
    try:
        with closing(connect(path)) as connection:
            deadline = time.monotonic() + seconds
            if seconds < math.inf:
                connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                return False
            return _has_tables(connection)
    except sqlite3.DatabaseError as error:
        # A lock, or a disk that cannot be read, does not mean that the file is damaged.
        return isinstance(error, sqlite3.OperationalError) and not is_damage(error)


def _has_tables(connection: sqlite3.Connection) -> bool:
    reached = read_version(connection)
    if reached > max(read_migrations()):
        return True  # a newer version, whose tables are not known here
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if reached and not names >= _TABLES:
        return False
    counts = [
        connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]  # noqa: S608 - the table is a constant
        for table in _SINGLE_ROWS & names
    ]
    return all(count == 1 for count in counts)


def _is_short(path: Path) -> bool:
    """Whether the file has fewer bytes than its header says (SQLite file format, section 1.3).

    If a process was killed while it copied the log into the file, the file is short, and the log is
    complete.
    """
    with path.open("rb") as file:
        head = file.read(100)
    page = int.from_bytes(head[16:18]) if head[16:18] != b"\0\1" else 65_536
    return path.stat().st_size < page * int.from_bytes(head[28:32])
