"""The SQLite file of the catalog: how it is opened, migrated, read and written.

Reads run on the event loop: a lookup by key takes about ten microseconds, which is less than the
switch to a thread takes. Writes run one after the other in one thread, since a commit may wait for
the disk or for another process.
"""

import asyncio
import importlib.resources
import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from registry.errors import StoreError, StoreTooNew
from registry.tasks import in_thread

T = TypeVar("T")
_TABLES = frozenset({"manifests", "links", "holdings", "tags", "blobs"})
BUSY = 10.0  # seconds that a write waits for the write of another process


class Database:
    """The connections of one process to the catalog; open it with `async with`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="catalog")
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Open both connections.

        Raises:
            StoreError: the file cannot be opened or is not a catalog.
            StoreTooNew: a newer version has migrated it.
        """
        migrate(self._path)
        self._reader = _connect(self._path)
        self._writer = _connect(self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writing.shutdown(wait=True)
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Run a SELECT on the event loop; the query must find its rows by an index.

        Raises:
            StoreError: SQLite reported an error.
        """
        if self._reader is None:
            raise StoreError(str(self._path), "the catalog is not open")
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(str(self._path), str(error)) from error

    async def survey(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run `read`, which reads many rows, on a snapshot of the catalog.

        It runs in a thread with a connection of its own, so that other reads do not wait.

        Raises:
            StoreError: SQLite reported an error.
        """
        return await in_thread(self._survey, read)

    def _survey(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with closing(_connect(self._path)) as connection:
                connection.execute("BEGIN")
                return read(connection)
        except sqlite3.Error as error:
            raise StoreError(str(self._path), str(error)) from error

    async def copy(self, path: Path) -> None:
        """Copy a snapshot of the whole catalog to a new file.

        Raises:
            StoreError: SQLite reported an error.
        """
        await in_thread(self._copy, path)

    def _copy(self, path: Path) -> None:
        try:
            with closing(_connect(self._path)) as source, closing(_connect(path)) as target:
                source.backup(target)
        except sqlite3.Error as error:
            raise StoreError(str(path), str(error)) from error

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run `change` in a transaction, after all changes that were requested before.

        Raises:
            StoreError: SQLite reported an error; the transaction was rolled back.
        """
        return await asyncio.get_running_loop().run_in_executor(self._writing, self._apply, change)

    def _apply(self, change: Callable[[sqlite3.Connection], T]) -> T:
        if self._writer is None:
            raise StoreError(str(self._path), "the catalog is not open")
        try:
            return _transact(self._writer, change)
        except sqlite3.Error as error:
            raise StoreError(str(self._path), str(error)) from error


def prepare(path: Path, mark_lost: Callable[[], None]) -> None:
    """Make sure that there is a catalog of this version at `path`.

    `mark_lost` is called before a new catalog is made; its rows have to be made from the files.
    A damaged catalog is renamed to `catalog.db.broken`.

    Raises:
        StoreError: the disk refused.
        StoreTooNew: a newer version has migrated the catalog; it was not changed.
    """
    is_new = is_missing(path)
    if not is_new and not _is_sound(path):
        mark_lost()
        for suffix in ("", "-wal", "-shm"):
            aside = path.with_name(f"{path.name}.broken{suffix}")
            with suppress(FileNotFoundError):
                path.with_name(f"{path.name}{suffix}").replace(aside)
    elif is_new:
        mark_lost()
    migrate(path)


def is_missing(path: Path) -> bool:
    """Whether the file of the catalog is missing or empty."""
    return not path.exists() or not path.stat().st_size


def _is_sound(path: Path) -> bool:
    """Whether the file is a catalog with all its tables; the rows are not checked."""
    is_short = _is_short(path)
    log = path.with_name(f"{path.name}-wal")
    if is_short and not (log.exists() and log.stat().st_size):
        return False
    try:
        with closing(_connect(path)) as connection:
            # If a process was killed while it copied the log into the file, the file is short,
            # and the log is complete.
            if is_short and connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                return False
            reached = connection.execute("PRAGMA user_version").fetchone()[0]
            names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if reached > max(_read_migrations()):
                return True  # a newer version, whose tables are not known here
            if reached and not names >= _TABLES:
                return False
            for table in _TABLES if reached else ():
                connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()  # noqa: S608
    except sqlite3.DatabaseError as error:
        # A lock, or a disk that cannot be read, does not mean that the file is damaged.
        return isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error)
    return True


def _is_short(path: Path) -> bool:
    """Whether the file has fewer bytes than its header says (SQLite file format, section 1.3)."""
    with path.open("rb") as file:
        head = file.read(100)
    page = int.from_bytes(head[16:18]) if head[16:18] != b"\0\1" else 65_536
    return path.stat().st_size < page * int.from_bytes(head[28:32])


def migrate(path: Path) -> None:
    """Migrate the catalog at `path` to the schema of this version, or make a new one.

    Raises:
        StoreError: the file cannot be opened or is not a catalog.
        StoreTooNew: a newer version has migrated it; it was not changed.
    """
    steps = _read_migrations()
    try:
        connection = _connect(path)
        try:
            _refuse_newer(connection, path, max(steps))
            # Only after the check of the version, since a new journal mode is written to the file.
            connection.execute("PRAGMA journal_mode = WAL")
            _transact(connection, lambda held: _run_missing(held, steps))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(str(path), f"the catalog cannot be opened ({error})") from error


def is_older(path: Path) -> bool:
    """Whether `migrate` would change the schema of the catalog at `path`.

    False if there is no catalog yet, and if it cannot be read: then `migrate` says why.
    """
    if is_missing(path):
        return False
    try:
        with closing(_connect(path)) as connection:
            reached = int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return False
    return 0 < reached < max(_read_migrations())


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    # With WAL and NORMAL a power failure may undo the last commits, but damages no file. Blobs and
    # tag files were synced before.
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _transact(connection: sqlite3.Connection, change: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = change(connection)
    except BaseException:
        with suppress(sqlite3.Error):  # on a full disk SQLite may have rolled back itself
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return result


def _refuse_newer(connection: sqlite3.Connection, path: Path, newest: int) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > newest:
        raise StoreTooNew(str(path), found, newest)


def _run_missing(connection: sqlite3.Connection, steps: dict[int, str]) -> None:
    reached = connection.execute("PRAGMA user_version").fetchone()[0]
    for number in sorted(steps):
        if number > reached:
            for statement in _split(steps[number]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number:d}")


def _split(script: str) -> list[str]:
    # executescript() would commit first, so that half a migration could be kept.
    statements, begun = [], ""
    for line in re.sub(r"--.*", "", script).splitlines():
        begun = f"{begun}{line}\n"
        if sqlite3.complete_statement(begun):  # a trigger has semicolons inside
            statements.append(begun.strip())
            begun = ""
    return [*statements, begun] if begun.strip() else statements


def _read_migrations() -> dict[int, str]:
    folder = importlib.resources.files("registry.catalog") / "migrations"
    return {
        int(file.name.split("_", 1)[0]): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    }
