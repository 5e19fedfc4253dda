"""The report of `entrepot top`: the status, running downloads, and what the processes use."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from registry.reports.console.downloads import DownloadReport
from registry.reports.status import Status

_PROCESS = re.compile(r'entrepot_(memory_bytes|open_files)\{process="([^"]+)"\} ([0-9.e+]+)')


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """What a process of the server with this console uses: bytes of memory, files and sockets.

    `open_files` is None where it is not counted.
    """

    console: str
    process: str
    memory: int
    open_files: int | None


@dataclass(frozen=True, slots=True)
class Top:
    """What a mirror does now; `status` is what `entrepot status` reports.

    `sent_rate` is what clients get, and `fetched_rate` what comes from upstreams, both in bytes per
    second; None at the first look.
    """

    status: Status
    sent_rate: float | None
    fetched_rate: float | None
    downloads: Sequence[DownloadReport]
    processes: Sequence[ProcessReport]


@dataclass(frozen=True, slots=True)
class Look:
    """A status, and when it was read, in seconds of any clock that is not set back."""

    at: float
    status: Status


def report_top(
    former: Look | None,
    now: Look,
    downloads: Sequence[DownloadReport],
    processes: Sequence[ProcessReport],
) -> Top:
    """Return the report of this moment; rates are from the `former` look until `now`. Pure."""
    sent = fetched = None
    if former is not None and now.at > former.at:
        seconds = now.at - former.at
        before, after = former.status.traffic.today, now.status.traffic.today
        # At midnight, another day begins with 0.
        sent = max(0, after.sent - before.sent) / seconds
        fetched = max(0, after.fetched - before.fetched) / seconds
    return Top(now.status, sent, fetched, downloads, processes)


def report_processes(metrics: Iterable[tuple[str, str]]) -> list[ProcessReport]:
    """Return what processes use, by the address of each console and what its `/metrics` says.

    A console that does not answer says nothing. Pure.
    """
    reports = []
    for console, text in metrics:
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for name, process, number in _PROCESS.findall(text):
            found[process][name] = int(float(number))
        reports += [
            ProcessReport(console, process, each["memory_bytes"], each.get("open_files"))
            for process, each in found.items()
            if "memory_bytes" in each
        ]
    return reports
