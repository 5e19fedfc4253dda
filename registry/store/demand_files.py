"""Small files in which the processes on a data folder tell others what they want or do now.

They are of use for seconds only. What a disk refuses to write or read is not told.
"""

import secrets
import time
from contextlib import suppress
from pathlib import Path

FRESH = 2.0  # seconds for which a file counts; its process writes it several times a second
OLD = 3600.0  # seconds after which a file of a process that died is deleted
DEMANDS = "demand-"  # the beginning of their names
READERS = "readers-"  # of those that say how many clients wait for which download
_LONGEST = 64 * 1024  # bytes of one file


class DemandFiles:
    """The file of this process, and those of the others, in one folder.

    The names of all that are about the same begin with `prefix`.
    """

    def __init__(self, folder: Path, prefix: str = DEMANDS) -> None:
        self._folder = folder
        self._prefix = prefix
        # Not the number of the process: in several containers these are the same.
        self._own = folder / f"{prefix}{secrets.token_hex(8)}"

    def exchange(self, own: bytes) -> list[bytes]:
        """Write what this process wants, and return what the others have written lately.

        If the disk refuses, what could not be read is left out.
        """
        self.tell(own)
        found: list[bytes] = []
        with suppress(OSError):
            now = self._own.stat().st_mtime  # by the clock of the file system
            self._read_all(now, found)
        return found

    def read(self) -> list[bytes]:
        """Return what processes have written lately, for one that writes nothing itself."""
        found: list[bytes] = []
        with suppress(OSError):
            self._read_all(time.time(), found)
        return found

    def _read_all(self, now: float, found: list[bytes]) -> None:
        for path in self._folder.glob(f"{self._prefix}*"):
            with suppress(OSError):
                self._read(path, now, found)

    def tell(self, own: bytes) -> list[bytes]:
        """Write what this process wants, as far as the disk allows, and return nothing."""
        with suppress(OSError):
            self._write(own)
        return []

    def withdraw(self) -> None:
        """Delete the file of this process: it wants nothing any more."""
        with suppress(OSError):
            self._own.unlink(missing_ok=True)

    def _write(self, own: bytes) -> None:
        new = self._own.with_name(f".new-{self._own.name}")
        try:
            new.write_bytes(own)
            new.replace(self._own)  # so that nobody reads half of it
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def _read(self, path: Path, now: float, found: list[bytes]) -> None:
        if path == self._own:
            return
        age = now - path.stat().st_mtime
        if abs(age) < FRESH:
            with path.open("rb") as file:
                found.append(file.read(_LONGEST))
        elif age > OLD:
            path.unlink(missing_ok=True)
