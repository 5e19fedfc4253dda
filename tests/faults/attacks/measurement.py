"""What a mirror uses: memory and descriptors of its processes, and memory of its sockets."""

import re
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.harness.processes import list_children

MIB = 1 << 20
_SKMEM = re.compile(r"skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f(\d+),w(\d+)")
PAUSE = 1.0  # seconds between two samples: reading PSS takes time of the kernel


@dataclass(frozen=True)
class Usage:
    """Bytes of resident memory (RSS, PSS) and of sockets, and the most descriptors of a process.

    `descriptors` are those of all processes.
    """

    rss: int
    pss: int
    descriptors: int
    most_descriptors: int
    sockets: int

    def most(self, other: "Usage") -> "Usage":
        """Return the larger value of each kind."""
        return Usage(*map(max, self.values(), other.values()))

    def values(self) -> tuple[int, ...]:
        """Return all values in the order of the fields."""
        return self.rss, self.pss, self.descriptors, self.most_descriptors, self.sockets


def measure(pid: int, port: int) -> Usage:
    """Measure the mirror whose supervisor is `pid`, and which listens on `port`."""
    rss = pss = 0
    descriptors = []
    for process in (pid, *list_children(pid)):
        with suppress(FileNotFoundError, ProcessLookupError):
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            rss += int(re.findall(r"^Rss: +(\d+)", rollup, re.MULTILINE)[0]) * 1024
            pss += int(re.findall(r"^Pss: +(\d+)", rollup, re.MULTILINE)[0]) * 1024
            descriptors.append(len(list(Path(f"/proc/{process}/fd").iterdir())))
    return Usage(rss, pss, sum(descriptors), max(descriptors), _measure_sockets(port))


def _measure_sockets(port: int) -> int:
    """Return what the kernel keeps for the mirror's end of its clients' connections."""
    listed = subprocess.run(
        ["ss", "-tmnHa", f"sport = :{port}"], capture_output=True, text=True, check=True
    )
    return sum(sum(map(int, found)) for found in _SKMEM.findall(listed.stdout))


class Watch:
    """Measures a mirror again and again; `peak` has the largest value of each kind."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid, self._port = pid, port
        self.peak = measure(pid, port)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ending.wait(PAUSE):
            self.peak = self.peak.most(measure(self._pid, self._port))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()


def wait_for_descriptors(pid: int, port: int, wanted: int, patience: float) -> float:
    """Return after how many seconds the mirror had at most `wanted` descriptors again."""
    began = time.monotonic()
    while measure(pid, port).descriptors > wanted and time.monotonic() - began < patience:
        time.sleep(0.25)
    return time.monotonic() - began
