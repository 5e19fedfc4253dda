"""Values of metrics in files, which other processes can read while they change."""

import fcntl
import itertools
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict, mmap_key

KINDS = ("counter", "histogram", "gauge_mostrecent")  # each process has one file for each kind
_PAIR = struct.Struct("dd")  # a value and its time, as in prometheus_client
FILE_SIZE = 128 * 1024  # bytes of one file; all values together take much less


@contextmanager
def open_values(folder: Path) -> Iterator[type]:
    """Yield a class like `values.MutexValue` whose values are in files of `folder`.

    Each process has files of its own, one for each kind. They stay after the end of the `with`
    block, and the next process goes on with them.

    Raises:
        OSError: the disk has no room for the files.
    """
    number, lock = _take_place(folder)
    try:
        open_file: Any = MmapedDict  # prometheus_client leaves it untyped
        files = {kind: open_file(str(path)) for kind, path in _make_files(folder, number).items()}
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


def _make_value_class(files: dict[str, Any]) -> type:
    """Return a class like `values.MultiProcessValue()` whose values are in `files`, by kind.

    `MultiProcessValue` takes its folder from the environment. This class needs no lock, because
    only one event loop changes metrics.
    """

    class FileValue:
        """One number in a file that is mapped into memory."""

        _multiprocess = True

        def __init__(self, kind: str, *key: Any, multiprocess_mode: str = "", **_: Any) -> None:
            self._file = files[f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind]
            self._key = mmap_key(*key)  # metric, name, labels, their values, help text
            self._value: float = self._file.read_value(self._key)[0]
            begin = self._file._positions[self._key]
            self._place = slice(begin, begin + _PAIR.size)

        def inc(self, amount: float) -> None:
            # As `write_value` does, in one call instead of four: each answer counts five values.
            self._value = value = self._value + amount
            self._file._m[self._place] = _PAIR.pack(value, 0.0)

        def set(self, value: float, timestamp: float | None = None) -> None:
            self._value = value
            self._file.write_value(self._key, value, timestamp or 0.0)

        def get(self) -> float:
            return self._value

        def set_exemplar(self, exemplar: object) -> None:
            """Values in files have no exemplars."""

        def get_exemplar(self) -> None:
            """Values in files have no exemplars."""

    return FileValue
