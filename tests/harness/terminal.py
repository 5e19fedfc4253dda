"""A command of `entrepot` on a terminal of its own, as a person starts it."""

import fcntl
import os
import pty
import re
import select
import struct
import termios
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from tests.harness.commands import clean_environment, fork_command
from tests.harness.deadline import await_truth
from tests.harness.planted import refuse_secrets

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CTRL_C = b"\x03"


class TerminalProcess:
    """A running command; `with` kills what is left of it, and searches the terminal for secrets.

    `variables` are added to the environment. With `stdout`, only standard input and error are the
    terminal.
    """

    def __init__(
        self,
        *arguments: str,
        variables: Mapping[str, str] | None = None,
        columns: int = 80,
        stdout: int | None = None,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        given = (slave, slave if stdout is None else stdout, slave)
        environment = clean_environment() | {"TERM": "xterm-256color"} | dict(variables or {})
        for name in ("COLUMNS", "LINES"):  # they would count more than the size of the terminal
            environment.pop(name, None)
        self.process = fork_command(arguments, given, environment, has_session=True)
        os.close(slave)
        self._received = bytearray()
        self._is_closed = threading.Event()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        with suppress(OSError):  # EIO: no process has the terminal open any more
            while not self._is_closed.is_set():
                if select.select([self._master], [], [], 0.05)[0]:
                    self._received += os.read(self._master, 65536)

    @property
    def raw(self) -> str:
        """Everything that was written, with the commands to the terminal."""
        return self._received.decode("utf-8", "replace")

    @property
    def text(self) -> str:
        """Everything that was written, without the commands to the terminal."""
        return _CONTROL.sub("", self.raw)

    def lines(self, word: str) -> list[str]:
        """Return the lines with this word."""
        return [line.strip() for line in re.split(r"[\r\n]+", self.text) if word in line]

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until a pattern is in the text, and return the match."""
        await_truth(lambda: re.search(pattern, self.text) or self.process.poll() is not None)
        found = re.search(pattern, self.text)
        assert found is not None, f"{pattern!r} is not in:\n{self.text}"
        return found

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for the end of the command; return its exit code."""
        return self.process.wait(timeout)

    def close(self) -> None:
        """Close the terminal, as a person closes its window."""
        if not self._is_closed.is_set():
            self._is_closed.set()
            self._reading.join()
            os.close(self._master)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()
        self.close()
        refuse_secrets("what the terminal shows", bytes(self._received))
