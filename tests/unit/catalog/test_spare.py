"""Laws of the spare bytes: released bit by bit on a full disk, and taken again later."""

import errno
import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from registry.catalog.database import Database
from registry.catalog.spare import PORTION, SIZE, SpareSpace
from registry.errors import StoreError


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk")
    error.sqlite_errorcode = code
    return error


def measure(catalog: Path) -> int:
    """How many bytes of the disk the file takes."""
    return catalog.with_name("catalog.db.spare").stat().st_blocks * 512


def test_the_bytes_are_taken_from_the_disk(catalog: Path) -> None:
    """The file has no holes, so that its bytes are there when the disk is full."""
    spare = SpareSpace(catalog)
    assert spare.missing == SIZE
    spare.restore()
    assert spare.missing == 0
    assert measure(catalog) >= SIZE


def test_they_are_released_bit_by_bit(catalog: Path) -> None:
    """Another program may take what is released, so some is kept for the next time."""
    spare = SpareSpace(catalog)
    spare.restore()
    released = [spare.release() for _ in range(SIZE // PORTION + 2)]
    assert released == [True] * (SIZE // PORTION) + [False] * 2
    assert measure(catalog) == 0
    spare.restore()
    assert spare.missing == 0


def test_without_the_file_nothing_is_released(catalog: Path) -> None:
    """A data folder of an earlier version has no spare bytes yet."""
    assert not SpareSpace(catalog).release()


def test_the_last_bytes_of_a_disk_are_not_taken(
    catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that is nearly full nothing is taken from what others need."""
    state = SimpleNamespace(f_bavail=SIZE + PORTION - 1, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda _: state)
    spare = SpareSpace(catalog)
    spare.restore()
    assert spare.missing == SIZE
    state.f_bavail += 1
    spare.restore()
    assert spare.missing == 0


@pytest.mark.parametrize("has_some", [False, True])
def test_a_disk_that_cannot_give_them_all_gives_none(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, has_some: bool
) -> None:
    """If another program takes the room in the meantime, the file stays as it was."""
    spare = SpareSpace(catalog)
    if has_some:
        spare.restore()
        spare.release()

    def refuse(descriptor: int, _: int, size: int) -> None:
        os.ftruncate(descriptor, size)  # as some file systems do
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    spare.restore()
    assert spare.missing == (PORTION if has_some else SIZE)


FULL = [
    sqlite_error(sqlite3.SQLITE_FULL),
    sqlite_error(sqlite3.SQLITE_IOERR_WRITE),  # a quota
    sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE),  # when it is opened
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
]
OTHERS = [
    sqlite_error(sqlite3.SQLITE_CONSTRAINT),
    sqlite_error(sqlite3.SQLITE_BUSY),
    sqlite_error(sqlite3.SQLITE_CORRUPT),
    sqlite3.ProgrammingError("without a code"),
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.EROFS, "Read-only file system"),
]


class Work:
    """Fails so many times with an error."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.left = error, times

    def __call__(self) -> str:
        if self.left:
            self.left -= 1
            raise self.error
        return "done"


@pytest.mark.parametrize("error", FULL, ids=repr)
def test_on_a_full_disk_work_is_done_again(catalog: Path, error: Exception) -> None:
    """A portion is released each time, until there is enough."""
    spare = SpareSpace(catalog)
    spare.restore()
    assert spare.use(Work(error, 3)) == "done"
    assert spare.missing == 3 * PORTION


@pytest.mark.parametrize("error", FULL, ids=repr)
def test_without_spare_bytes_the_error_is_raised(catalog: Path, error: Exception) -> None:
    """When all bytes are released, the work is not tried without end."""
    spare = SpareSpace(catalog)
    spare.restore()
    work = Work(error, 10**6)
    with pytest.raises(type(error)):
        spare.use(work)
    assert 10**6 - work.left == SIZE // PORTION + 1


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_other_errors_release_nothing(catalog: Path, error: Exception) -> None:
    """More room would not help."""
    spare = SpareSpace(catalog)
    spare.restore()
    with pytest.raises(type(error)):
        spare.use(Work(error, 1))
    assert spare.missing == 0


@pytest.mark.parametrize("uses_spare", [False, True])
async def test_only_what_cannot_wait_uses_them(catalog: Path, uses_spare: bool) -> None:
    """Pull workers leave the spare bytes to the deletion of blobs and to commands."""
    async with Database(catalog, uses_spare=uses_spare) as database:
        database.spare.restore()
        work = Work(sqlite_error(sqlite3.SQLITE_FULL), 2)
        if uses_spare:
            assert await database.write(lambda _: work()) == "done"
        else:
            with pytest.raises(StoreError):
                await database.write(lambda _: work())
        assert database.spare.missing == (PORTION if uses_spare else 0)
    assert SpareSpace(catalog).missing == 0, "what was released is taken again at the end"


async def test_a_log_that_is_copied_needs_no_more_room(catalog: Path) -> None:
    """A change that does not fit is tried again after the log was copied into the file."""
    async with Database(catalog) as database:
        database.spare.restore()
        work = Work(sqlite_error(sqlite3.SQLITE_FULL), 1)
        assert await database.write(lambda _: work()) == "done"
        assert database.spare.missing == 0


async def test_a_change_that_is_done_again_is_done_once(catalog: Path) -> None:
    """What a change wrote before the disk was full is rolled back before it runs again."""
    work = Work(sqlite_error(sqlite3.SQLITE_FULL), 2)

    def change(rows: sqlite3.Connection) -> None:
        rows.execute("UPDATE usage SET bytes = bytes + 1")
        work()

    async with Database(catalog, uses_spare=True) as database:
        database.spare.restore()
        await database.write(change)
        assert database.read("SELECT bytes FROM usage") == [(1,)]
