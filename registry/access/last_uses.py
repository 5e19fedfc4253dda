"""When each account was used the last time: one small file for each account, with a time in it.

The file is written again at most once an hour by each worker, so the time in it is up to an hour
too early. Files, and not the catalog, which can be lost; not the list of accounts either, since
every worker reads it again when it changes.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from registry.access.records import format_time
from registry.logs import get_logger
from registry.store.files import write_durably
from registry.tasks import in_thread

PERIOD = 5.0  # seconds between two looks at what was noted
STEP = 3600.0  # seconds for which a file is not written again
_LONGEST = 64  # bytes of a file; a time has 21


class UseFiles:
    """The files of one data folder; their names are those of the accounts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, made: float) -> float | None:
        """Return when an account was used the last time, in epoch seconds; None if it never was.

        `made` is when the account was made: what is older is about another one of the same name. A
        file that is damaged counts as none.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            with (self._folder / name).open("rb") as file:
                text = file.read(_LONGEST).decode().strip()
            used = datetime.fromisoformat(text).timestamp()
        except (FileNotFoundError, ValueError):
            return None
        return used if used >= int(made) else None

    def write(self, name: str, moment: float) -> None:
        """Write that an account was used at a time in epoch seconds.

        Raises:
            OSError: the disk refused.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_durably(self._folder / name, f"{format_time(moment)}\n".encode(), is_secret=True)

    def forget(self, name: str) -> None:
        """Delete the file of an account.

        Raises:
            OSError: the disk refused.
        """
        (self._folder / name).unlink(missing_ok=True)


class UseRecorder:
    """What one worker knows of the uses of accounts, and has not written yet."""

    def __init__(self, files: UseFiles, clock: Callable[[], float] = time.time) -> None:
        self._files = files
        self._clock = clock
        self._noted: set[str] = set()
        self._written: dict[str, float] = {}  # when each file was written by this worker
        self._is_failing = False
        self._log = get_logger("registry.access")

    def note(self, name: str) -> None:
        """Note that somebody has proved to be the account `name`. It costs nothing."""
        self._noted.add(name)

    async def keep_writing(self) -> None:
        """Write what was noted until cancelled, and all of it at the end."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                await self.write()
        finally:
            await self.write()

    async def write(self) -> None:
        """Write the files of the accounts that were used, if they are due."""
        now = self._clock()
        noted, self._noted = self._noted, set()
        due = [name for name in noted if abs(now - self._written.get(name, 0.0)) >= STEP]
        if due:
            await in_thread(self._write_all, due, now)

    def _write_all(self, names: list[str], now: float) -> None:
        for name in names:
            try:
                self._files.write(name, now)
            except OSError as error:  # no pull fails for it; the next use tries again
                if not self._is_failing:
                    why = error.strerror or str(error)
                    self._log.error("last use not written", why=why)
                self._is_failing = True
                return
            self._written[name] = now
        self._is_failing = False
