"""Laws of `entrepot top`: what fits on a terminal, and what is left out if it does not."""

from dataclasses import replace

import pytest

from registry.cli.top.drawing import draw_top
from registry.reports.console.downloads import DownloadReport
from registry.reports.status import report_status
from registry.reports.top import Look, ProcessReport, Top, report_processes, report_top
from tests.unit.reports.test_status import FACTS, HUB
from tests.unit.reports.test_traffic import GIB

MIB = 1 << 20
STATUS = report_status(FACTS)
DOWNLOAD = DownloadReport(
    digest=f"sha256:{'4f' * 32}",
    repository="docker.io/library/nginx",
    endpoint=HUB[0],
    started=0.0,
    arrived=3 * MIB,
    expected=12 * MIB,
    rate=MIB,
    seconds_left=9.0,
    clients=2,
)
METRICS = """\
# TYPE entrepot_memory_bytes gauge
entrepot_memory_bytes{process="background"} 6.0e+07
entrepot_memory_bytes{process="worker 0"} 8.0e+07
entrepot_open_files{process="worker 0"} 34.0
entrepot_workers 1.0
"""
TOP = Top(STATUS, 2.5 * MIB, 1024.0, [DOWNLOAD], report_processes([("127.0.0.1:5001", METRICS)]))


def draw(top: Top = TOP, width: int = 80, height: int | None = None) -> list[str]:
    return [str(line) for line in draw_top(top, width=width, height=height)]


def test_all_of_it_is_readable_at_80_columns() -> None:
    """The bar, the speed, the time that is left, waiting clients, and where it comes from."""
    lines = draw()
    text = "\n".join(lines)

    assert max(map(len, lines)) <= 80
    assert lines[0] == "All is well."
    assert "now        2.5 MiB/s sent, 1 KiB/s fetched, 4 clients in the last hour" in lines
    assert "space      [######----------] 40 GiB of 100 GiB used, 500 GiB free on disk" in lines
    assert "upstreams  docker.io: answers" in text
    assert "           not asked since the server has started: ghcr.io" in lines
    assert "           worker 0     76.3 MiB of memory, 34 files and sockets" in lines
    assert f"docker.io/library/nginx 4f4f4f4f4f4f from {HUB[0]}" in lines
    head, bar = lines[-3], lines[-1]
    assert bar == ("  [####------------]        3 MiB of 12 MiB      1 MiB/s     0:00:09         2")
    for name, value in (("RECEIVED", "12 MiB"), ("SPEED", "/s"), ("TIME LEFT", ":09")):
        assert head.index(name) + len(name) == bar.index(value) + len(value)
    assert len(head) == len(bar)


def test_names_are_never_cut() -> None:
    """A name that is longer than the terminal has a line of its own."""
    name = f"registry.example.com/{'long/' * 20}name"
    lines = draw(replace(TOP, downloads=[replace(DOWNLOAD, repository=name)]), width=60)

    assert any(name in line for line in lines)


@pytest.mark.parametrize(("height", "shown"), [(24, 6), (13, 1), (12, 0), (3, 0), (None, 9)])
def test_what_does_not_fit_is_counted(height: int | None, shown: int) -> None:
    """The last line says how many downloads there are besides."""
    downloads = [replace(DOWNLOAD, digest=f"sha256:{n:064}") for n in range(9)]
    lines = draw(replace(TOP, downloads=downloads), height=height)

    found = [line for line in lines if line.startswith("docker.io/library/nginx ")]
    assert len(found) == shown
    assert (lines[-1] == f"and {9 - shown} more downloads") == (shown < 9)
    if height is not None and shown:
        assert len(lines) <= height


def test_what_is_not_known_is_a_dash() -> None:
    """At the first look, and of a download without a size, there is no rate and no end."""
    unknown = replace(DOWNLOAD, expected=None, rate=None, seconds_left=None, endpoint="")
    lines = draw(replace(TOP, sent_rate=None, fetched_rate=None, downloads=[unknown], processes=[]))

    assert any(line.startswith("now        - sent, - fetched") for line in lines)
    assert "processes  not known" in lines
    assert lines[-2] == "docker.io/library/nginx 4f4f4f4f4f4f"
    assert lines[-1].split() == ["3", "MiB", "-", "-", "2"]
    assert draw(replace(TOP, downloads=[]))[-1] == "Nothing is being downloaded."


def test_rates_are_those_between_two_looks() -> None:
    """At midnight, the counters of the day begin anew: no rate is negative."""
    later = replace(STATUS.traffic.today, sent=STATUS.traffic.today.sent + 10 * MIB)
    after = replace(STATUS, traffic=replace(STATUS.traffic, today=later))

    first = report_top(None, Look(5.0, STATUS), [], [])
    second = report_top(Look(5.0, STATUS), Look(7.0, after), [], [])
    midnight = report_top(Look(5.0, after), Look(7.0, STATUS), [], [])

    assert (first.sent_rate, first.fetched_rate) == (None, None)
    assert (second.sent_rate, second.fetched_rate) == (5 * MIB, 0)
    assert midnight.sent_rate == 0


def test_processes_are_those_of_each_server() -> None:
    """What a console does not say is not known; one that does not answer says nothing."""
    found = report_processes([("127.0.0.1:1", METRICS), ("127.0.0.1:2", "")])

    assert found == [
        ProcessReport("127.0.0.1:1", "background", 60_000_000, None),
        ProcessReport("127.0.0.1:1", "worker 0", 80_000_000, 34),
    ]


def test_a_store_that_is_nearly_full_is_told() -> None:
    full = replace(STATUS, space=replace(STATUS.space, used=96 * GIB))
    assert any("nearly full" in line for line in draw(replace(TOP, status=full)))
