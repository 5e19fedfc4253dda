"""The file `accounts.json`: commands replace it, and every process notices that within a second."""

import time
from collections.abc import Callable
from pathlib import Path

from registry.access.accounts import Accounts, parse_accounts
from registry.errors import StoreError
from registry.logs import get_logger
from registry.store.file_watch import FileWatch
from registry.store.files import translate_errors
from registry.store.small_files import read_small_json


def read_accounts(path: Path) -> Accounts:
    """Read the accounts; a file that does not exist has none.

    Raises:
        StoreError: it cannot be read, or is damaged; the message says how to go on.
    """
    with translate_errors(path):
        try:
            return parse_accounts(read_small_json(path))
        except FileNotFoundError:
            return Accounts()
        except ValueError as error:
            why = f"is damaged ({error}): put back a copy of it, or delete it and add all again"
            raise StoreError(str(path), why) from error


class LiveAccounts:
    """The accounts of a running server, which follow the file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        Raises:
            StoreError: as for `read_accounts`.
        """
        self._path = path
        self._watch = FileWatch([path], clock)
        self._current = read_accounts(path)
        self._log = get_logger("registry.access")
        self._failure = ""  # why the file could not be read the last time
        self.version = 0  # rises with each change

    @property
    def current(self) -> Accounts:
        """The accounts, as they were in the file a moment ago (see `FileWatch`)."""
        self.refresh()
        return self._current

    def refresh(self, *, at_once: bool = False) -> int:
        """Look at the file, if the last look was long ago, or `at_once`; return the version.

        It is called for each request, also for repeated answers, so that it has to cost nothing.
        """
        if self._watch.has_changed(at_once=at_once):
            self._read_again()
        return self.version

    def _read_again(self) -> None:
        try:
            self._current = read_accounts(self._path)
        except StoreError as error:
            # The former accounts stay: otherwise a typing error would lock out everybody. But the
            # file is read again soon: somebody may have been removed from it.
            self._watch.look_again()
            if str(error) != self._failure:
                self._failure = str(error)
                self._log.error("accounts not read: the former ones stay", why=self._failure)
        else:
            self._failure = ""
            self.version += 1
            self._log.info("accounts read again", users=len(self._current.users))
