"""Servers under test: each in a session of its own, measured through /proc, stopped by its id."""

import http.client
import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

START = 30.0  # seconds a server has to answer
STOP = 20.0  # seconds it has to end by itself
CALM = 0.3  # seconds without CPU time after which a server has started
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


class DoesNotStart(Exception):
    """A server ended, or did not answer in time; says the end of its log."""


class Server:
    """A program that runs until `stop`; it and all it starts are one session."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = command
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - programs of the bench, and no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=log.parent,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        """The leader's process id, which is also the session's."""
        return self._process.pid

    def wait_for(self, port: int, trust: ssl.SSLContext | None = None) -> Self:
        """Wait until it answers HTTP on this port; with `trust`, HTTPS.

        Raises:
            DoesNotStart: it ended, or the time is over.
        """
        deadline = time.monotonic() + START
        while not answers(port, "/v2/", trust):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                said = self._log.read_text(errors="replace")[-500:]
                raise DoesNotStart(f"{Path(self._command[0]).name} does not start: {said}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """End it: politely, then surely."""
        self._process.terminate()
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def answers(port: int, path: str, trust: ssl.SSLContext | None = None) -> bool:
    """Whether something on the loopback answers 200 to a GET; with `trust`, over HTTPS."""
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=2, context=trust)
        if trust
        else http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    )
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@dataclass(frozen=True)
class Usage:
    """What the processes of one session used: CPU in seconds, peak resident memory in MiB."""

    cpu: float
    peaks: tuple[float, ...]


def _list_session(session: int) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folder in /proc and the fields of `stat` of each living process of a session."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended while we looked
            # The name, in parentheses, may hold anything; what follows it may not.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                yield entry, fields


def read_usage(session: int) -> Usage:
    """Add up all living processes of a session, and the dead that its leader has waited for."""
    cpu = 0.0
    peaks = []
    for entry, fields in _list_session(session):
        own = fields[11:15] if int(entry.name) == session else fields[11:13]
        cpu += sum(map(int, own)) / TICKS
        with suppress(OSError):
            peaks.append(_read_peak(entry))
    return Usage(cpu, tuple(sorted(peaks, reverse=True)))


def read_pss(session: int) -> float:
    """Return the memory of all processes of a session in MiB; shared pages count once."""
    total = 0
    for entry, _ in _list_session(session):
        with suppress(OSError):
            found = re.search(r"^Pss: +(\d+)", (entry / "smaps_rollup").read_text(), re.MULTILINE)
            total += int(found[1]) if found is not None else 0
    return total / 1024


def await_calm(session: int) -> None:
    """Wait until a server that has just answered has also ended its start.

    Some answer before all of their processes are ready; what those still do to get ready must not
    count as the cost of the first requests.
    """
    deadline = time.monotonic() + START
    spent = -1.0
    while (now := read_usage(session).cpu) > spent and time.monotonic() < deadline:
        spent = now
        time.sleep(CALM)


def _read_peak(entry: Path) -> float:
    for line in (entry / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
