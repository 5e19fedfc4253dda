"""Load on a running peer: cheap clients in processes of their own, wrk, and slow readers."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.client import ACCEPT
from benchmarks.peers import Place

ROOT = Path(__file__).parents[1]
PATIENCE = 180.0  # seconds that a measured pull may take before it counts as failed
UNITS: Mapping[str, float] = MappingProxyType({"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0})


class LoadFailed(Exception):
    """An answer was not what it had to be, so its time means nothing."""


@dataclass(frozen=True)
class Request:
    """One GET; `length` -1 accepts any, `span` is a Range header."""

    path: str
    length: int = -1
    span: str = ""

    def encode(self) -> list[Any]:
        """Return it as the client program reads it."""
        return [self.path, self.span, 206 if self.span else 200, self.length]


@dataclass(frozen=True)
class Seen:
    """What all clients saw together; times in seconds, first bytes by client."""

    wall: float
    received: int
    firsts: tuple[float, ...]
    times: tuple[float, ...]
    digests: tuple[str, ...]
    failed: int
    failures: tuple[str, ...]

    def require(self) -> "Seen":
        """Return this if nothing failed.

        Raises:
            LoadFailed: something did; says the first of it.
        """
        if self.failed:
            raise LoadFailed(f"{self.failed} clients failed, such as: {self.failures[0]}")
        return self


def pull(
    port: int,
    clients: Sequence[Sequence[Request]],
    *,
    processes: int = 1,
    retries: float = PATIENCE,
    hashes: bool = False,
    headers: Sequence[str] = (),
    tls: Sequence[str] | None = None,
) -> Seen:
    """Let all clients start together, spread over some processes, and wait for the last.

    `headers` are lines that each request has; for `tls` see `benchmarks/client.py`.
    """
    plans = [
        {
            "port": port,
            "patience": retries,
            "hash": hashes,
            "headers": list(headers),
            "tls": tls,
            "clients": [[one.encode() for one in each] for each in clients[number::processes]],
        }
        for number in range(processes)
    ]
    with ExitStack() as stack:
        running = [stack.enter_context(_start(plan)) for plan in plans]
        for process in running:
            _say(process, "go\n")
        results = [json.loads(_hear(process)) for process in running]
    return Seen(
        wall=max(each["ended"] for each in results) - min(each["began"] for each in results),
        received=sum(each["received"] for each in results),
        firsts=tuple(one for each in results for one in each["firsts"]),
        times=tuple(one for each in results for one in each["times"]),
        digests=tuple(sorted({one for each in results for one in each["digests"]})),
        failed=sum(each["failed"] for each in results),
        failures=tuple(one for each in results for one in each["failures"]),
    )


def verify(port: int, path: str, digest: str, size: int) -> None:
    """Pull once, untimed, and check every byte.

    Raises:
        LoadFailed: it does not come, or is not what its digest says.
    """
    seen = pull(port, [[Request(path, size)]], hashes=True).require()
    if seen.digests != (digest.partition(":")[2],):
        raise LoadFailed(f"the content of {path} is wrong")


@contextmanager
def _start(plan: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.client"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        _say(process, json.dumps(plan) + "\n")
        _hear(process)
        yield process
    finally:
        process.kill()
        process.communicate()


def _say(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(line)
        process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise LoadFailed("the load client ended")
    return line


@contextmanager
def slow_readers(place: Place, path: str, count: int, rate: int) -> Iterator[None]:
    """Keep `count` clients reading at `rate` bytes a second each, for as long as the `with` lasts.

    Raises:
        LoadFailed: at the end, when they did not get what they read for.
    """
    command = [sys.executable, "-m", "benchmarks.slow_readers"]
    arguments = [str(place.port), path, str(count), str(rate)]
    process = subprocess.Popen(  # noqa: S603 - programs of the bench, and no shell
        [*command, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        _hear(process)  # all of them have had their first bytes
        began = time.monotonic()
        yield
        lasted = time.monotonic() - began
        _say(process, "end\n")
        result = json.loads(_hear(process))
        if result["slowest"] < 0.5 * rate * lasted - rate:
            raise LoadFailed(f"a slow reader got {result['slowest']} bytes in {lasted:.1f} s")
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class WrkResult:
    """What wrk measured: requests a second, and latencies in seconds."""

    rate: float
    requests: int
    median: float
    p99: float


def find_wrk() -> str:
    """Return the program; empty when it is not installed."""
    return shutil.which("wrk") or ""


def run_wrk(
    place: Place, path: str, *, connections: int, seconds: float, headers: Sequence[str] = ()
) -> WrkResult:
    """Send the same request over all connections, again as soon as it is answered.

    `headers` are lines that each request has.

    Raises:
        LoadFailed: wrk is not here, or an answer was an error.
    """
    if not find_wrk():
        raise LoadFailed("wrk is not installed (Debian's package wrk)")
    threads = min(2, connections)
    command = [find_wrk(), f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    command += ["--latency", "--timeout", "10s", "-H", f"Accept: {ACCEPT}"]
    command += [word for line in headers for word in ("-H", line)]
    url = f"http://127.0.0.1:{place.port}{path}"
    done = subprocess.run([*command, url], capture_output=True, text=True, check=True)  # noqa: S603 - programs of the bench, and no shell
    return read_wrk(done.stdout)


def read_wrk(said: str) -> WrkResult:
    """Read what wrk printed.

    Raises:
        LoadFailed: an answer was an error.
    """
    trouble = re.search(r"(Non-2xx.*|Socket errors: .*)", said)
    if trouble is not None:
        raise LoadFailed(trouble[1])
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    count = re.search(r"(\d+) requests in", said)
    latencies = dict(re.findall(r"(50|99)%\s+([\d.]+(?:us|ms|s|m))\b", said))
    if rate is None or count is None or len(latencies) != 2:
        raise LoadFailed(f"wrk said: {said[-300:]}")
    return WrkResult(
        float(rate[1]), int(count[1]), _seconds(latencies["50"]), _seconds(latencies["99"])
    )


def _seconds(text: str) -> float:
    number = re.match(r"[\d.]+", text)
    return float(number[0]) * UNITS[text[number.end() :]] if number is not None else 0.0
