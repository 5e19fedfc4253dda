"""The files of access records: all workers append to one of them, and old ones are deleted.

Whole lines are appended by one call each (O_APPEND), under a lock: a process that looks while
another one writes would take what is there of a line for all of it. A file that is full, or begins
on an earlier day, is renamed by whoever notices it. The other processes notice that before they
append the next time; what they append meanwhile is in the renamed file.
"""

import asyncio
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from registry.access.records import RecordGroup, format_time, read_day
from registry.logs import get_logger
from registry.store.files import leads_to, take_lock
from registry.tasks import in_thread

CURRENT = f"{RecordGroup.ACCESS.value}.jsonl"
LOCK = ".lock"  # whoever renames or deletes files has locked this one, which stays empty
HOUR = 3600.0
MAX_SIZE = 64 * 1024 * 1024  # bytes of a file, about
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_HEAD = 64  # bytes in which the day of a file is
_CLOSED = re.compile(
    r"(?P<group>[a-z]+)-(?P<time>[0-9]{8}T[0-9]{6}Z)(?:-(?P<number>[0-9]{1,9}))?\.jsonl"
)
_FORM = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, order=True)
class ClosedFile:
    """A file to which nothing is appended any more; it was renamed at `ended` (epoch seconds).

    `number` counts those that were renamed in the same second.
    """

    ended: float
    number: int
    path: Path


@dataclass(frozen=True, slots=True)
class Appended:
    """How many lines were written, and why the others were not; empty if all were."""

    lines: int
    why: str = ""


class RecordFiles:
    """The files of one group in one data folder. No method may be called by two threads at once."""

    def __init__(
        self,
        folder: Path,
        keep_for: float,
        limit: int,
        *,
        group: RecordGroup = RecordGroup.ACCESS,
        clock: Callable[[], float] = time.time,
        max_size: int = MAX_SIZE,
    ) -> None:
        """Closed files are kept for `keep_for` seconds, and have `limit` bytes together."""
        self._folder = folder
        self._group = group
        self._path = folder / f"{group.value}.jsonl"
        self._keep_for = keep_for
        self._limit = limit
        self._clock = clock
        self._max_size = max_size
        self._descriptor: int | None = None
        self._log = get_logger("registry.access")

    def append(self, lines: Sequence[bytes]) -> Appended:
        """Append whole lines, each with its end, as far as the disk takes them."""
        content = memoryview(b"".join(lines))
        written = 0
        try:
            with _locked(self._find_file()) as descriptor:
                if self._is_torn(descriptor):
                    os.write(descriptor, b"\n")
                while written < len(content):
                    written += os.write(descriptor, content[written:])
        except OSError as error:
            whole = bytes(content[:written]).count(b"\n")
            return Appended(whole, error.strerror or str(error))
        return Appended(len(lines))

    def tidy(self) -> None:
        """Close the current file if it is due, and delete closed files that are not kept any more.

        Raises:
            OSError: the disk refused.
        """
        if self._folder.exists():
            self._rotate()

    def close(self) -> None:
        """Close the descriptor; the next call opens the file again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _find_file(self) -> int:
        """Return the descriptor of the file to append to.

        Raises:
            OSError: the disk refused.
        """
        descriptor = self._open()
        if not self._is_due(descriptor):
            return descriptor
        with suppress(OSError):  # it grows on, until the disk allows it
            self._rotate()
        return self._open()

    def _open(self) -> int:
        if self._descriptor is not None and not leads_to(self._path, self._descriptor):
            self.close()
        if self._descriptor is None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = os.open(self._path, _FLAGS, 0o600)
        return self._descriptor

    def _is_due(self, descriptor: int) -> bool:
        size = os.fstat(descriptor).st_size
        if not size:
            return False
        today = format_time(self._clock())
        day = read_day(os.pread(descriptor, _HEAD, 0))
        return size >= self._max_size or not day or not today.startswith(day)

    def _is_torn(self, descriptor: int) -> bool:
        """Whether a line has no end, as the disk was full; then the next one begins on its own."""
        size = os.fstat(descriptor).st_size
        return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"

    def _rotate(self) -> None:
        """Rename the current file if it is due, and delete old files.

        If another process is doing that, nothing is done here.
        """
        with self._hold_lock() as is_held:
            if not is_held:
                return
            if self._path.exists() and self._is_due(self._open()):
                self._path.rename(self._find_free_name())
            self._delete_old()

    @contextmanager
    def _hold_lock(self) -> Iterator[bool]:
        """Yield whether this process alone may rename and delete now."""
        lock = take_lock(self._folder / LOCK)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                os.close(lock)

    def _find_free_name(self) -> Path:
        moment = datetime.fromtimestamp(self._clock(), UTC).strftime(_FORM)
        path, number = self._folder / f"{self._group.value}-{moment}.jsonl", 0
        while path.exists():
            number += 1
            path = self._folder / f"{self._group.value}-{moment}-{number}.jsonl"
        return path

    def _delete_old(self) -> None:
        now = self._clock()
        kept = []
        for each in list_closed(self._folder, self._group):
            if each.ended < now - self._keep_for:
                each.path.unlink(missing_ok=True)
            else:
                kept.append(each)
        sizes = [each.path.stat().st_size for each in kept]
        excess = sum(sizes) - self._limit
        for each, size in zip(kept, sizes, strict=True):
            if excess <= 0:
                break
            each.path.unlink(missing_ok=True)
            excess -= size
            self._log.warning(
                "access records deleted early", file=each.path.name, limit=self._limit
            )


@contextmanager
def _locked(descriptor: int) -> Iterator[int]:
    """Keep other processes from writing a file meanwhile.

    Raises:
        OSError: the file system has no locks.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield descriptor
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


async def keep_tidy(*files: RecordFiles, pause: float = HOUR) -> None:
    """Delete old records every `pause` seconds, until cancelled, also while nothing is recorded."""
    log = get_logger("registry.access")
    while True:
        try:
            for each in files:
                await in_thread(each.tidy)
        except OSError as error:  # a disk may refuse for a while
            log.error("old access records not deleted", why=str(error))  # noqa: TRY400
        await asyncio.sleep(pause)


def list_closed(folder: Path, group: RecordGroup = RecordGroup.ACCESS) -> list[ClosedFile]:
    """Return the closed files of one group in a folder, the oldest first.

    Raises:
        OSError: the folder cannot be read; one that does not exist has no files.
    """
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return []
    found = ((path, _CLOSED.fullmatch(path.name)) for path in paths)
    return sorted(
        _describe(path, parts) for path, parts in found if parts and parts["group"] == group.value
    )


def _describe(path: Path, parts: re.Match[str]) -> ClosedFile:
    try:
        ended = datetime.strptime(parts["time"], _FORM).replace(tzinfo=UTC).timestamp()
    except ValueError:  # such as the 31st of February: nobody knows how old it is
        ended = path.stat().st_mtime
    return ClosedFile(ended, int(parts["number"] or 0), path)
