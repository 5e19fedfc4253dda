"""The SQLite file: how it is opened, migrated, read and written.

Readers run on the event loop, since a lookup by key takes some ten microseconds and a thread hop
takes more. Writers run one after the other in one thread of their own, since a commit may wait for
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

T = TypeVar("T")
_TABLES = frozenset({"manifests", "links", "holdings", "tags", "blobs"})
BUSY = 10.0  # seconds a writer waits for the writer of another process


class Database:
    """One process's connections to the catalog; open it with `async with`."""

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
        """Run a SELECT that an index answers, here and now.

        Raises:
            StoreError: SQLite could not.
        """
        if self._reader is None:
            raise StoreError(str(self._path), "the catalog is not open")
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(str(self._path), str(error)) from error

    async def survey(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Read much, at one moment: in a thread, on a connection that nobody else waits for.

        Raises:
            StoreError: SQLite could not.
        """
        return await asyncio.to_thread(self._survey, read)

    def _survey(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with closing(_connect(self._path)) as connection:
                connection.execute("BEGIN")
                return read(connection)
        except sqlite3.Error as error:
            raise StoreError(str(self._path), str(error)) from error

    async def copy(self, path: Path) -> None:
        """Copy the whole catalog as it is at one moment to a new file.

        Raises:
            StoreError: SQLite could not.
        """
        await asyncio.to_thread(self._copy, path)

    def _copy(self, path: Path) -> None:
        try:
            with closing(_connect(self._path)) as source, closing(_connect(path)) as target:
                source.backup(target)
        except sqlite3.Error as error:
            raise StoreError(str(path), str(error)) from error

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run `change` in a transaction of its own, after the changes before it.

        Raises:
            StoreError: SQLite could not; nothing of the change is kept.
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
    """Have a catalog that can be used; if it is a new one, which knows nothing yet, say so before.

    What cannot be used is put aside as `catalog.db.broken`: the files it was an index of are there.

    Raises:
        StoreError: the disk refuses.
        StoreTooNew: a newer version has migrated it; it was not touched.
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
    """Whether there is no catalog."""
    return not path.exists() or not path.stat().st_size


def _is_sound(path: Path) -> bool:
    """Whether the file is a catalog, whole and with its tables; not whether each row is right."""
    is_short = _is_short(path)
    log = path.with_name(f"{path.name}-wal")
    if is_short and not (log.exists() and log.stat().st_size):
        return False
    try:
        with closing(_connect(path)) as connection:
            # Who died while the log was copied into the file leaves it short, and the whole log.
            if is_short and connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                return False
            reached = connection.execute("PRAGMA user_version").fetchone()[0]
            names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if reached > max(_read_migrations()):
                return True  # of a newer version: who is to know what it needs
            if reached and not names >= _TABLES:
                return False
            for table in _TABLES if reached else ():
                connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()  # noqa: S608
    except sqlite3.DatabaseError as error:
        # Locked, or a disk that cannot be read, says nothing of the file.
        return isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error)
    return True


def _is_short(path: Path) -> bool:
    """Whether the file has fewer bytes than its header says (file format, 1.3)."""
    with path.open("rb") as file:
        head = file.read(100)
    page = int.from_bytes(head[16:18]) if head[16:18] != b"\0\1" else 65_536
    return path.stat().st_size < page * int.from_bytes(head[28:32])


def migrate(path: Path) -> None:
    """Bring the catalog at `path` to this version's schema, creating it if need be.

    Raises:
        StoreError: the file cannot be opened or is not a catalog.
        StoreTooNew: a newer version has migrated it; it was not touched.
    """
    steps = _read_migrations()
    try:
        connection = _connect(path)
        try:
            _refuse_newer(connection, path, max(steps))
            # Only then: switching the journal mode already writes to the file.
            connection.execute("PRAGMA journal_mode = WAL")
            _transact(connection, lambda held: _run_missing(held, steps))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(str(path), f"the catalog cannot be opened ({error})") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    # WAL with NORMAL loses at most the last commits when power fails, never the file; the files
    # it indexes were synced before.
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _transact(connection: sqlite3.Connection, change: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = change(connection)
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite may have done so itself, on a full disk
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
    # executescript() would commit first, and a half-run migration could then survive.
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
