"""A machine without any network: what is done on it changes nothing here.

It is a mount namespace whose root is this machine's root with a layer above it, and a network
namespace with nothing but the loopback. So commands can be run as they are written for people: they
write to /opt, /etc and /usr/local of that machine only. The home folder is empty.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("unshare", "nsenter", "mount", "pivot_root", "ip", "dockerd", "docker", "iptables")
# The layer is in memory; /dev, /proc and /sys are this machine's. dockerd keeps its files outside
# of the layer, because an overlay cannot be the upper part of another one.
_SETUP = """
set -eu
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
for each in dev sys; do mount --rbind "/$each" "$each"; done
mount -t proc proc proc
for each in tmp run media home; do mount -t tmpfs -o mode=755 tmpfs "$each"; done
chmod 1777 tmp
mkdir -p media/disk home/operator engine old-root
mount --bind "$2" media/disk
mount -o remount,bind,ro media/disk
mount --bind "$3" engine
ip link set lo up
pivot_root . old-root
umount -l /old-root
echo "127.0.0.1 localhost mirror.lan" >/etc/hosts
echo ready
exec sleep infinity
"""
HOME = "/home/operator"
_VARIABLES = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": HOME}


@dataclass(frozen=True)
class ClosedMachine:
    """The running machine; `pid` is a process on it."""

    pid: int

    def shell(self, script: str, seconds: float = 300) -> str:
        """Run lines as somebody types them, until one fails; return what they print on stdout.

        Raises:
            AssertionError: a line failed; the message has what was printed.
        """
        done = subprocess.run(
            [*self._enter(), "sh", "-eux"],
            input=script,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=_VARIABLES,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    @contextmanager
    def running(
        self, command: str, ready: str, seconds: float = 60, environment: Mapping[str, str] = {}
    ) -> Iterator[None]:
        """Run a command until the end of the `with`; begin when the line `ready` succeeds."""
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [*self._enter(), "sh", "-c", f"exec {command}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**_VARIABLES, **environment},
            )
            try:
                self._wait(process, ready, seconds, command)
                yield
            except AssertionError as error:
                log.seek(0)
                said = log.read().decode(errors="replace")[-6000:]
                raise AssertionError(f"{error}\n{command}:\n{said}") from error
            finally:
                process.terminate()
                process.wait(timeout=60)

    def _wait(
        self, process: subprocess.Popen[bytes], ready: str, seconds: float, command: str
    ) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.shell(ready, seconds=20)
            except AssertionError:
                assert process.poll() is None, f"{command} has ended"
                assert time.monotonic() < deadline, f"{command} is not ready: {ready}"
                time.sleep(0.2)
            else:
                return

    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--mount", "--net", f"--wdns={HOME}"]


@contextmanager
def open_machine(disk: Path) -> Iterator[ClosedMachine]:
    """Start the machine, with the folder `disk` as its read-only /media/disk; needs root."""
    folder = Path(tempfile.mkdtemp(prefix="entrepot-closed-"))
    engine = Path(tempfile.mkdtemp(prefix="entrepot-engine-"))
    command = ["unshare", "--mount", "--net", "--propagation=private", "sh", "-c", _SETUP, "setup"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    try:
        with subprocess.Popen([*command, folder, disk, engine], **pipes) as process:
            try:
                said = process.stdout.readline()
                assert said == "ready\n", said + process.stdout.read()
                yield ClosedMachine(process.pid)
            finally:
                _kill_all(process.pid)
    finally:
        shutil.rmtree(engine, ignore_errors=True)
        folder.rmdir()


def _kill_all(pid: int) -> None:
    """Kill every process of the machine, which are those of its mount namespace and its children.

    A container has a mount namespace of its own; its network namespace may be its own too. So first
    dockerd has to be stopped, which stops its containers.
    """
    ours = Path(f"/proc/{pid}/ns/mnt").readlink()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == pid:
            continue
        try:
            if (entry / "ns" / "mnt").readlink() == ours:
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:  # it has ended, or is not ours to look at
            continue
    os.kill(pid, signal.SIGKILL)
