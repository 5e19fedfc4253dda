"""The TLS of a running server, which follows the files of its certificates."""

import ssl
import time
from collections.abc import Callable

from registry.errors import SettingsError
from registry.logs import get_logger
from registry.server.tls import TLSFiles, load_tls
from registry.settings.model import Settings
from registry.store.file_watch import FileWatch


class LiveTLS:
    """The TLS context for new connections; those that are open keep the one they began with."""

    def __init__(self, files: TLSFiles, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the files.

        Raises:
            SettingsError: as for `load_tls`.
        """
        self._files = files
        self._watch = FileWatch(files.list_paths(), clock)
        self._current = load_tls(files)
        self._failure = ""  # why the files could not be read the last time
        self._log = get_logger("registry.server")

    @classmethod
    def of(cls, settings: Settings) -> "LiveTLS | None":
        """Read the files that the settings name; None for plain HTTP.

        Raises:
            SettingsError: as for `load_tls`.
        """
        files = TLSFiles.of(settings)
        return None if files is None else cls(files)

    @property
    def context(self) -> ssl.SSLContext:
        """The context with the files as they were a moment ago (see `FileWatch`)."""
        if self._watch.has_changed():
            self._read_again()
        return self._current

    def _read_again(self) -> None:
        try:
            self._current = load_tls(self._files)
        except SettingsError as error:
            # Often only one file of the pair has been replaced yet.
            self._watch.look_again()
            if str(error) != self._failure:
                self._failure = str(error)
                self._log.error("certificate not read: the former one stays", why=self._failure)
        else:
            self._failure = ""
            self._log.info("certificate read again", certificate=self._files.certificate)
