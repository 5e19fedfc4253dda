"""Running a command twice: in a terminal of 80 columns, and without one."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.harness.commands import ForkedProcess, clean_environment, fork_command, run_command
from tests.outputs.screen import Screen

COLUMNS, ROWS = 80, 40
PATIENCE = 60.0  # seconds
# What differs from run to run, and what stands for it on the page.
_CHANGING = (
    (re.compile(r"\b127\.0\.0\.1:(?!500[01]\b)\d{4,5}\b"), "127.0.0.1:PORT"),
    (re.compile(r"\(pid \d+\)"), "(pid PID)"),
    (re.compile(r"\.entrepot-\d{8}-\d{6}\b"), ".entrepot-TIME"),
)


@dataclass(frozen=True, slots=True)
class Output:
    """What a command printed in a terminal, and without one, and its exit codes.

    Folders and ports that differ from run to run are replaced in all texts. If the command was not
    run again without a terminal, the second text and code are those of the first run.
    """

    command: str
    code: int
    on_terminal: str
    code_elsewhere: int
    elsewhere: str


class Runner:
    """Runs commands with one environment; `names` are replaced in what they print."""

    def __init__(self, environment: Mapping[str, str], names: Mapping[str, str]) -> None:
        size = ("COLUMNS", "LINES")  # else they would count more than the size of the terminal
        inherited = {name: value for name, value in clean_environment().items() if name not in size}
        self._environment = inherited | {"TERM": "xterm"} | environment
        self._names = names

    def run(self, *words: str, stdin: str = "", again: bool = True) -> Output:
        """Run a command in a terminal, and unless it shall not run `again`, also without one."""
        code, on_terminal = self._run_on_terminal(words, stdin)
        code_elsewhere, elsewhere = code, on_terminal
        if again:
            done = run_command(*words, stdin=stdin, environment=self._environment)
            code_elsewhere = done.returncode
            elsewhere = self._clean(done.stdout + done.stderr)
        command = self._clean(" ".join(words))
        return Output(command, code, on_terminal, code_elsewhere, elsewhere)

    def interrupt(self, *words: str, when: Callable[[], bool]) -> Output:
        """Run a command in a terminal, and press Ctrl-C as soon as a condition is true."""
        code, on_terminal = self._run_on_terminal(words, "", when)
        return Output(" ".join(words), code, on_terminal, code, on_terminal)

    def _run_on_terminal(
        self, words: Sequence[str], stdin: str, when: Callable[[], bool] | None = None
    ) -> tuple[int, str]:
        outside, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        with os.fdopen(inside, "r+b", buffering=0) as terminal, _open_stdin(stdin) as into:
            given = (into, terminal, terminal)
            running = fork_command(words, given, self._environment)
        try:
            text = _read_all(outside, running, when)
        finally:
            os.close(outside)
        screen = Screen()
        screen.write(text)
        return running.wait(PATIENCE), self._clean(screen.read())

    def _clean(self, text: str) -> str:
        for name, shown in self._names.items():
            text = text.replace(name, shown)
        for pattern, shown in _CHANGING:
            text = pattern.sub(shown, text)
        return text.rstrip("\n")


def _open_stdin(text: str) -> IO[bytes]:
    if not text:
        return Path(os.devnull).open("rb")
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(text.encode())
    return os.fdopen(reading, "rb")


def _read_all(outside: int, running: ForkedProcess, when: Callable[[], bool] | None) -> str:
    """Return what a process writes to its terminal, until it has ended."""
    written, deadline = b"", time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if when is not None and when():
            running.send_signal(signal.SIGINT)
            when = None
        if select.select([outside], [], [], 0.02)[0]:
            try:
                written += os.read(outside, 65_536)
            except OSError:  # the last process has closed the terminal
                return written.decode()
    running.send_signal(signal.SIGKILL)
    raise subprocess.TimeoutExpired("entrepot", PATIENCE, written)
