"""A Docker engine of our own, on a host of its own.

It touches neither this machine's engine nor its network.

The engine runs in a network namespace that is joined to this machine by one cable. So ports 5000
and 5001 are free there whatever runs here, and this machine sees the engine as its neighbours on
a LAN would: by address, through what the engine publishes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("dockerd", "docker", "ip", "nsenter", "iptables", "busybox")
_HERE, _THERE = "10.231.77.1", "10.231.77.2"


@dataclass(frozen=True)
class Engine:
    """A running engine; `address` is where its host is reached from this machine."""

    address: str
    namespace: Path
    socket: Path
    folder: Path

    def environment(self) -> dict[str, str]:
        """Return the environment of a docker command: this engine, and no stored settings."""
        return {
            **os.environ,
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(self.folder / "client"),
            "DOCKER_BUILDKIT": "0",
        }

    def docker(self, *arguments: str | Path, seconds: float = 60) -> str:
        """Run the docker command and return what it printed.

        Raises:
            AssertionError: it failed; the message has its last words.
        """
        return finished(["docker", *arguments], seconds, self.environment())

    def on_its_host(self, *command: str, seconds: float = 20) -> str:
        """Run a command where the engine is, so that 127.0.0.1 is the engine's."""
        return finished(["nsenter", f"--net={self.namespace}", *command], seconds)


def missing() -> list[str]:
    """Return what is missing on this machine to run an engine."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return absent if os.geteuid() == 0 else ["root", *absent]


def finished(
    command: list[str | Path],
    seconds: float,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Run a command to its end and return its standard output; failing is an AssertionError."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env=environment,
        cwd=folder,
    )
    said = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {said}"
    return done.stdout


@contextmanager
def running() -> Iterator[Engine]:
    """Start an engine, and leave nothing of it behind."""
    # A Unix socket's path has room for a hundred characters: no long test folder.
    folder = Path(tempfile.mkdtemp(prefix="entrepot-engine-"))
    name = f"entrepot-{os.getpid()}"
    engine = Engine(_THERE, Path("/run/netns") / name, folder / "docker.sock", folder)
    try:
        _connect(name)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(_command(engine), stdout=log, stderr=log)
        try:
            _wait_until_answering(engine, process)
            yield engine
        finally:
            process.terminate()
            process.wait(timeout=60)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        _unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _connect(name: str) -> None:
    cable = f"ent{os.getpid()}"[:15]
    finished(["ip", "netns", "add", name], 10)
    there = ["nsenter", f"--net=/run/netns/{name}", "ip"]
    finished(["ip", "link", "add", cable, "type", "veth", "peer", "name", "lan", "netns", name], 10)
    finished(["ip", "address", "add", f"{_HERE}/30", "dev", cable], 10)
    finished(["ip", "link", "set", cable, "up"], 10)
    finished([*there, "address", "add", f"{_THERE}/30", "dev", "lan"], 10)
    finished([*there, "link", "set", "lan", "up"], 10)
    finished([*there, "link", "set", "lo", "up"], 10)


def _command(engine: Engine) -> list[str]:
    return [
        "nsenter",
        f"--net={engine.namespace}",
        "dockerd",
        f"--data-root={engine.folder / 'data'}",
        f"--exec-root={engine.folder / 'exec'}",
        f"--pidfile={engine.folder / 'pid'}",
        f"--host=unix://{engine.socket}",
        "--config-file=",
    ]


def _wait_until_answering(engine: Engine, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            engine.docker("version")
        except AssertionError as refused:
            if process.poll() is not None or time.monotonic() > deadline:
                log = (engine.folder / "log").read_text(errors="replace")
                raise AssertionError(f"the engine did not start: {log[-3000:]}") from refused
            time.sleep(0.2)
        else:
            return


def _unmount_below(folder: Path) -> None:
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for path in sorted((path for path in mounted if path.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", path], check=False, capture_output=True)
