"""Real daemons, started in a short temporary folder and removed completely afterwards.

Everything that a daemon writes is below that folder, and everything that it starts has the folder's
name in its arguments. So what is left of it (a container's shim, a mount) is found and ended by
that name.
"""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

START = 60.0  # seconds a daemon has to answer, on a busy machine
STOP = 30.0  # seconds it has to end by itself
LOCAL = "10.233"  # addresses of the loopback interface beside 127.0.0.0/8: see `local_address`
_BRIDGES = itertools.count()  # that this process has made
DEAD_END = "http://127.0.0.1:9"  # no process listens on the discard port


class Daemon:
    """A program that runs until the end of the `with`; its output is in `log_path`."""

    def __init__(
        self, command: list[str], log_path: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log_path = log_path
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the program."""
        assert self._process is not None, "the program is not running"
        return self._process.pid

    def start(self, is_ready: Callable[[], bool]) -> Self:
        """Start it, and wait until `is_ready` returns true."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + START
        while not is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{self._command[0]} does not start:\n{tail(self.log_path)}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """End it with SIGTERM, and if that takes too long with SIGKILL."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def finish(
    command: list[str], environment: Mapping[str, str] | None = None, seconds: float = 90
) -> str:
    """Run a command to its end and return its output; a failure is an AssertionError."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env=environment,
    )
    said = f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, f"{' '.join(command)} (exit {done.returncode}):\n{said}"
    return done.stdout


def isolate(home: Path) -> dict[str, str]:
    """Return an environment without a user's settings, in which only loopback is reached.

    Clients that find no image at a mirror ask the original registry themselves. Here they cannot
    reach it, so a successful pull came through the mirror.
    """
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), DEAD_END)
    loopback = dict.fromkeys(("NO_PROXY", "no_proxy"), f"127.0.0.1,localhost,{LOCAL}.0.0/16")
    path = f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ.get('PATH', '')}"
    return {"PATH": path, "HOME": str(home), "XDG_RUNTIME_DIR": str(home)} | proxies | loopback


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder with a short name (a socket's path has at most about 100 bytes).

    At the end, processes with its name in their arguments are killed, mounts below it are
    unmounted, and the folder is removed.
    """
    folder = Path(tempfile.mkdtemp(prefix="entrepot-"))
    try:
        yield folder
    finally:
        _kill_processes_of(folder)
        _unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def bridge() -> Iterator[str]:
    """Make a network bridge for one engine and yield its name; no other bridge is changed.

    Its addresses depend on the process and on the bridges that it has made before, so two at the
    same time do not conflict.
    """
    count = next(_BRIDGES)
    number, name = os.getpid() + 61 * count, f"entb{os.getpid()}.{count}"[:15]
    finish(["ip", "link", "add", name, "type", "bridge"])
    try:
        finish(["ip", "address", "add", f"10.232.{number % 250}.1/24", "dev", name])
        finish(["ip", "link", "set", name, "up"])
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)


@contextmanager
def local_address() -> Iterator[str]:
    """Add an address to the loopback interface that is not one of 127.0.0.0/8, and yield it.

    dockerd does not verify the certificates of registries there, and sends them none.
    """
    address = f"{LOCAL}.{os.getpid() % 250}.1"
    finish(["ip", "address", "add", f"{address}/32", "dev", "lo"])
    try:
        yield address
    finally:
        finish(["ip", "address", "delete", f"{address}/32", "dev", "lo"])


def tail(path: Path, size: int = 4000) -> str:
    """Return the last lines of a log."""
    return path.read_text(errors="replace")[-size:] if path.exists() else "(no log)"


def _kill_processes_of(folder: Path) -> None:
    ours = [pid for pid in _processes() if _mentions(pid, folder)]
    for pid in ours:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + STOP
    while any(_mentions(pid, folder) for pid in ours) and time.monotonic() < deadline:
        time.sleep(0.02)


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _mentions(pid: int, folder: Path) -> bool:
    try:
        return os.fsencode(folder) in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _unmount_below(folder: Path) -> None:
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for path in sorted((path for path in mounted if path.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", path], check=False, capture_output=True)
