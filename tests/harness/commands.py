"""Commands of `entrepot` as operators run them, without their half second of imports.

`run_command` has the nursery fork each command; `run_program` really starts one.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

PATIENCE = 60.0  # seconds an operator's command has
_NEVER = frozenset({"serve"})  # counts where it says before it imports what counts


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Start `entrepot` anew, as a shell does, and wait for its end."""
    return subprocess.run(
        [sys.executable, "-m", "registry", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=clean_environment(),
    )


def run_command(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of `entrepot` in a process of its own, and wait for its end."""
    assert not _NEVER & set(arguments[:1]), "start it with MirrorProcess or run_program"
    request = json.dumps([arguments, clean_environment(), str(Path.cwd())]).encode()
    here, there = socket.socketpair()
    with here, TemporaryFile() as into, TemporaryFile() as out, TemporaryFile() as err:
        into.write(stdin.encode())
        into.seek(0)
        with there:
            given = [file.fileno() for file in (into, out, err, there)]
            socket.send_fds(_open_nursery(_find_network()), [request], given)
        code = _wait(here, arguments)
        return subprocess.CompletedProcess(arguments, code, _read(out), _read(err))


def clean_environment() -> dict[str, str]:
    """The environment, less what would be settings of the mirror."""
    return {key: value for key, value in os.environ.items() if "ENTREPOT" not in key}


def _wait(told: socket.socket, arguments: tuple[str, ...]) -> int:
    with told.makefile() as lines:
        pid = int(lines.readline())
        told.settimeout(PATIENCE)
        try:
            return os.waitstatus_to_exitcode(int(lines.readline()))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(arguments, PATIENCE) from None


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _find_network() -> str:
    return str(Path("/proc/thread-self/ns/net").readlink())


@cache
def _open_nursery(_network: str) -> socket.socket:
    """Start the nursery of this process and network; it ends when its socket is closed."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.nursery"],
            stdin=there.fileno(),
            start_new_session=True,
            env=clean_environment(),
        )

    def close() -> None:
        here.close()
        nursery.wait()

    atexit.register(close)
    return here
