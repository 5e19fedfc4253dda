"""Commands of `entrepot` as operators run them, without half a second for imports.

`run_command` and `start_server` use a fork server; `run_program` starts a new interpreter.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tests.harness.planted import refuse_secrets

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "entrepot.toml"
PATIENCE = 60.0  # seconds an operator's command has
# Standard input, output and error of a command, as files or as descriptors.
Given = tuple[IO[bytes] | int, IO[bytes] | int, IO[bytes] | int]


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Start `entrepot` in a new interpreter, as a shell does, and wait for its end."""
    done = subprocess.run(
        [sys.executable, "-m", "registry", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=clean_environment(),
    )
    _refuse_secrets(done)
    return done


def _refuse_secrets(done: subprocess.CompletedProcess[str]) -> None:
    place = f"the output of entrepot {' '.join(done.args)}"
    refuse_secrets(place, f"{done.stdout}{done.stderr}".encode())


def run_command(
    *arguments: str, stdin: str | bytes = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of `entrepot` in another process, and wait for its end.

    A server that is run with this has to fail: if it serves, it is killed after `PATIENCE`.
    """
    with TemporaryFile() as into, TemporaryFile() as out, TemporaryFile() as err:
        into.write(stdin if isinstance(stdin, bytes) else stdin.encode())
        into.seek(0)
        forks = _open_fork_server(_find_network())
        given = (into, out, err)
        running = ForkedProcess(forks, arguments, given, environment or clean_environment())
        try:
            code = running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            raise
        done = subprocess.CompletedProcess(arguments, code, _read(out), _read(err))
    _refuse_secrets(done)
    return done


def fork_command(
    arguments: Sequence[str],
    given: Given,
    environment: Mapping[str, str],
    *,
    has_session: bool = False,
) -> "ForkedProcess":
    """Start a command of `entrepot`; `given` are its standard input, output and error.

    With `has_session`, it is the leader of a session, and its standard input, if it is a terminal,
    is the terminal of this session.
    """
    forks = _open_fork_server(_find_network())
    return ForkedProcess(forks, arguments, given, environment, has_session=has_session)


def start_command(*arguments: str) -> "ForkedProcess":
    """Start a command of `entrepot` without output, which a test kills or waits for."""
    with Path(os.devnull).open("r+b") as nothing:
        given = (nothing, nothing, nothing)
        forks = _open_fork_server(_find_network())
        return ForkedProcess(forks, arguments, given, clean_environment())


def start_server(
    arguments: Sequence[str], log: IO[bytes], environment: Mapping[str, str]
) -> "ForkedProcess":
    """Start a server in a new session; it writes its output to `log`."""
    forks = _open_fork_server(_find_network())
    with Path(os.devnull).open("rb") as nothing:
        given = (nothing, log, log)
        return ForkedProcess(forks, arguments, given, environment, has_session=True)


class ForkedProcess:
    """A process from a fork server, with the methods of `Popen` that tests need."""

    def __init__(
        self,
        forks: socket.socket,
        arguments: Sequence[str],
        given: Given,
        environment: Mapping[str, str],
        *,
        has_session: bool = False,
    ) -> None:
        """Have `forks` fork it; `given` are its standard input, output and error."""
        self._arguments = arguments
        fields = [list(arguments), dict(environment), str(Path.cwd()), has_session]
        self._told, there = socket.socketpair()
        with there:
            files = (file if isinstance(file, int) else file.fileno() for file in given)
            descriptors = [*files, there.fileno()]
            socket.send_fds(forks, [json.dumps(fields).encode()], descriptors)
        self._lines = self._told.makefile()
        self.pid = int(self._lines.readline())
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return its exit code; None while it is running."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.001)
        return None

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end and return its exit code, as `Popen` does.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self._code is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self._arguments, timeout)
            self._code = os.waitstatus_to_exitcode(int(self._lines.readline()))
            self._lines.close()
            self._told.close()
        return self._code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it is running."""
        if self.poll() is None:
            os.kill(self.pid, number)


def clean_environment() -> dict[str, str]:
    """Return the environment with the default settings, not those of the developer's own file."""
    others = {key: value for key, value in os.environ.items() if "ENTREPOT" not in key}
    return others | {"ENTREPOT_CONFIG": str(SHIPPED)}


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _find_network() -> str:
    return str(Path("/proc/thread-self/ns/net").readlink())


@cache
def _open_fork_server(_network: str) -> socket.socket:
    """Start the fork server of this process and network; it ends when its socket is closed."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        forks = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.fork_server"],
            stdin=there.fileno(),
            start_new_session=True,
            env=clean_environment(),
        )

    def close() -> None:
        here.close()
        forks.wait()

    atexit.register(close)
    return here
