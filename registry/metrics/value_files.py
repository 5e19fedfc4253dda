"""Values of metrics in files, which other processes can read while they change."""

import fcntl
import itertools
import mmap
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict, mmap_key

KINDS = ("counter", "histogram", "gauge_mostrecent")  # each process has one file for each kind
FILE_SIZE = 256 * 1024  # bytes of one file at first; the values of usual settings take less
_NUMBER = 8  # bytes of a value, and of its time after it
_PADDING = 32  # bytes that an entry has besides its key, at most


@contextmanager
def open_values(folder: Path) -> Iterator[type]:
    """Yield a class like `values.MutexValue` whose values are in files of `folder`.

    Each process has files of its own, one for each kind. They stay after the end of the `with`
    block, and the next process goes on with them.

    Raises:
        OSError: the disk has no space for the files.
    """
    number, lock = _take_place(folder)
    try:
        files = {kind: _ValueFile(path) for kind, path in _make_files(folder, number).items()}
        try:
            yield _make_value_class(files)
        finally:
            for file in files.values():
                file.close()
    finally:
        os.close(lock)


def _take_place(folder: Path) -> tuple[int, int]:
    """Return a number that no other living process has, and the descriptor of the lock on it.

    It may be the number of a process that has ended: this one then continues its files. So a server
    has as many files as it has processes, and the counts of ended processes are kept.

    Raises:
        OSError: the disk refuses files.
    """
    for number in itertools.count():
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(folder / f"{number}.lock", flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return number, lock
    raise AssertionError("there is always another number")


def _make_files(folder: Path, number: int) -> dict[str, Path]:
    """Make those files of a number that are missing, without holes; return the file of each kind.

    prometheus_client would map files with holes into memory. A write to a hole on a full disk kills
    the process by SIGBUS.

    Raises:
        OSError: the disk has too little space.
    """
    paths = {kind: folder / f"{kind}_{number}.db" for kind in KINDS}
    fresh = folder / f"{number}.new"  # the console reads *.db; these must not be empty
    try:
        for path in paths.values():
            if not path.exists():
                with fresh.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, FILE_SIZE)
                fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    return paths


class _ValueFile(MmapedDict):
    """A file of values; it is mapped as numbers too, to which a write takes a tenth of the time."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))  # type: ignore[no-untyped-call]
        self._views = [memoryview(self._m).cast("d")]

    def find_place(self, key: str) -> "tuple[memoryview[float], int]":
        """Return the numbers of the file, and where among them the value of `key` is.

        Raises:
            OSError: the value is a new one, and the disk has no space for it.
        """
        if key not in self._positions:
            self._make_room(len(key.encode()) + _PADDING)
            self.read_value(key)  # type: ignore[no-untyped-call]
        place: int = self._positions[key] // _NUMBER
        return self._views[-1], place

    def _make_room(self, size: int) -> None:
        # `MmapedDict` lets the file grow by a hole, of which `_make_files` says why it must not be.
        # Earlier values keep the former map: both are maps of the same bytes.
        if self._used + size <= self._capacity:
            return
        os.posix_fallocate(self._f.fileno(), self._capacity, self._capacity)
        self._capacity *= 2
        self._m = mmap.mmap(self._f.fileno(), self._capacity)
        self._views.append(memoryview(self._m).cast("d"))

    def close(self) -> None:
        """Close the file; what is counted after this goes on into the map, which ends with it."""
        self._f.close()


def _make_changes(
    numbers: "memoryview[float]", place: int
) -> tuple[Callable[[float], None], Callable[[float, float | None], None], Callable[[], float]]:
    """Return what adds to the value at a place, sets it, and reads it.

    They are no methods: each answer counts seven values, and a method would look its value up.
    """
    value = numbers[place]

    def inc(amount: float) -> None:
        nonlocal value
        value += amount
        numbers[place] = value

    def set_value(new: float, timestamp: float | None = None) -> None:
        nonlocal value
        value = numbers[place] = new
        # Not `timestamp`: a clock that was ahead would let an old value count until it is reached.
        numbers[place + 1] = 0.0 if timestamp is None else time.monotonic()

    return inc, set_value, lambda: value


def _make_value_class(files: dict[str, _ValueFile]) -> type:
    """Return a class like `values.MultiProcessValue()` whose values are in `files`, by kind.

    `MultiProcessValue` takes its folder from the environment. This class needs no lock, because
    only one event loop changes metrics. A value for which the disk has no room is in memory only.
    """

    class FileValue:
        """One number in a file that is mapped into memory, and the time of it after it."""

        _multiprocess = True

        def __init__(self, kind: str, *key: Any, multiprocess_mode: str = "", **_: Any) -> None:
            file = files[f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind]
            try:
                # The key: metric, name, labels, their values, help text.
                numbers, place = file.find_place(mmap_key(*key))
            except OSError:
                numbers, place = memoryview(bytearray(2 * _NUMBER)).cast("d"), 0
            self.inc, self.set, self.get = _make_changes(numbers, place)

        def set_exemplar(self, exemplar: object) -> None:
            """Values in files have no exemplars."""

        def get_exemplar(self) -> None:
            """Values in files have no exemplars."""

    return FileValue
