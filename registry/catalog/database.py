"""The SQLite file of the catalog: how it is opened, migrated, read and written.

Reads run on the event loop: a lookup by key takes about ten microseconds, which is less than the
switch to a thread takes. Writes run one after the other in one thread, since a commit may wait for
the disk or for another process.
"""

import asyncio
import importlib.resources
import re
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

from registry.catalog.connection import connect, is_damage, read_version, transact
from registry.catalog.spare import SpareSpace, is_full
from registry.errors import CatalogLost, StoreError, StoreTooNew
from registry.logs import get_logger
from registry.tasks import in_thread

T = TypeVar("T")


class Database:
    """The connections of one process to the catalog; open it with `async with`.

    With `uses_spare`, a write on a full disk uses the spare bytes (`spare.py`): without it a write
    is refused, so that what can wait leaves these bytes to what cannot. `on_damage` is called when
    SQLite finds that the file is damaged. With `must_exist`, no new catalog is made: one without
    rows would be taken for that of an empty data folder.
    """

    def __init__(
        self,
        path: Path,
        *,
        uses_spare: bool = False,
        must_exist: bool = False,
        on_damage: Callable[[], None] = lambda: None,
    ) -> None:
        self.spare = SpareSpace(path)
        self._path = path
        self._uses_spare = uses_spare
        self._must_exist = must_exist
        self._on_damage = on_damage
        self._is_damaged = False
        self._log = get_logger("registry.catalog")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="catalog")
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Open both connections.

        Raises:
            StoreError: the file cannot be opened.
            CatalogLost: the file is damaged, is not a catalog, or is missing and must exist.
            StoreTooNew: a newer version has migrated it.
        """
        try:
            self.spare.use(self._open)
        except sqlite3.Error as error:
            raise self._translate(error) from error
        return self

    def _open(self) -> None:
        with closing(self._connect()) as connection:
            if self._must_exist and not read_version(connection):
                raise CatalogLost(str(self._path))
            _migrate(connection, self._path, read_migrations())
        self._reader, self._writer = self._connect(), self._connect()
        # Makes the file that all connections share, which needs space on the disk.
        self._reader.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()

    def _connect(self) -> sqlite3.Connection:
        return connect(self._path, must_exist=self._must_exist)

    def _translate(self, error: sqlite3.Error) -> StoreError:
        if self._must_exist and not self._path.exists():
            return CatalogLost(str(self._path))
        if not is_damage(error):
            return StoreError(str(self._path), str(error))
        return self._report_damage(str(error))

    def _report_damage(self, why: str) -> CatalogLost:
        if not self._is_damaged:
            self._is_damaged = True
            self._log.error("catalog damaged", catalog=str(self._path), why=why)
            self._on_damage()
        return CatalogLost(str(self._path), why)

    async def __aexit__(self, *_: object) -> None:
        self._writing.shutdown(wait=True)
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None
        if self._uses_spare:
            self.spare.restore()

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
            raise self._translate(error) from error

    def read_version(self) -> int:
        """Return a number that is another one after any commit, of whatever process.

        Raises:
            StoreError: SQLite reported an error.
        """
        version: int = self.read("PRAGMA data_version")[0][0]
        return version

    async def survey(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run `read`, which reads many rows, on a snapshot of the catalog.

        It runs in a thread with a connection of its own, so that other reads do not wait.

        Raises:
            StoreError: SQLite reported an error.
        """
        return await in_thread(self._survey, read)

    def _survey(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with closing(self._connect()) as connection:
                connection.execute("BEGIN")
                return read(connection)
        except sqlite3.Error as error:
            raise self._translate(error) from error

    async def check(self) -> None:
        """Compare all rows and indexes with each other, which takes long in a large catalog.

        Raises:
            CatalogLost: the catalog is damaged.
            StoreError: SQLite reported another error.
        """
        found = await self.survey(lambda rows: rows.execute("PRAGMA integrity_check(1)").fetchone())
        if found[0] != "ok":
            raise self._report_damage(str(found[0]).splitlines()[-1])

    async def copy(self, path: Path) -> None:
        """Copy a snapshot of the whole catalog to a new file.

        Raises:
            StoreError: SQLite reported an error.
        """
        await in_thread(self._copy, path)

    def _copy(self, path: Path) -> None:
        try:
            with closing(self._connect()) as source, closing(connect(path)) as target:
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
        writer = self._writer
        if writer is None:
            raise StoreError(str(self._path), "the catalog is not open")

        def apply_again() -> T:
            # If all of the log is copied into the file, this change begins it anew, in the space
            # that it has.
            with suppress(sqlite3.Error):
                writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
            return transact(writer, change)

        try:
            try:
                return transact(writer, change)
            except sqlite3.Error as error:
                if not is_full(error):
                    raise
            return self.spare.use(apply_again) if self._uses_spare else apply_again()
        except sqlite3.Error as error:
            raise self._translate(error) from error


def migrate(path: Path) -> None:
    """Migrate the catalog at `path` to the schema of this version, or make a new one.

    Raises:
        StoreError: the file cannot be opened or is not a catalog.
        StoreTooNew: a newer version has migrated it; it was not changed.
    """
    try:
        SpareSpace(path).use(lambda: _open_and_migrate(path))
    except sqlite3.Error as error:
        raise StoreError(str(path), f"the catalog cannot be opened ({error})") from error


def _open_and_migrate(path: Path) -> None:
    with closing(connect(path)) as connection:
        _migrate(connection, path, read_migrations())


def _migrate(connection: sqlite3.Connection, path: Path, steps: Mapping[int, str]) -> None:
    refuse_newer(connection, path, max(steps))
    # Only after the check of the version, since a new journal mode is written to the file.
    connection.execute("PRAGMA journal_mode = WAL")
    transact(connection, lambda held: _run_missing(held, steps))


def refuse_newer(connection: sqlite3.Connection, path: Path, newest: int) -> None:
    """Refuse a catalog whose schema is newer than that of the migration `newest`.

    Raises:
        StoreTooNew: a newer version has migrated it.
    """
    found = read_version(connection)
    if found > newest:
        raise StoreTooNew(str(path), found, newest)


def _run_missing(connection: sqlite3.Connection, steps: Mapping[int, str]) -> None:
    reached = read_version(connection)
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


@cache
def read_migrations() -> Mapping[int, str]:
    """Return the scripts of all migrations by their numbers.

    They are read once: a server reads them before it forks, and its processes share them.
    """
    folder = importlib.resources.files("registry.catalog") / "migrations"
    return MappingProxyType(
        {
            int(file.name.split("_", 1)[0]): file.read_text(encoding="utf-8")
            for file in folder.iterdir()
            if file.name.endswith(".sql")
        }
    )
