"""Laws of the status: whether all is well, what is worst, and how people read it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from registry.cli.status_text import draw_status
from registry.content.served import PASSED_THROUGH, UPSTREAM
from registry.content.server_state import EndpointState, ServerState
from registry.content.traffic import DayRow
from registry.oci.rate_limits import RateLimit
from registry.reports.status import Status, StatusFacts, report_status
from registry.reports.upstream_states import UpstreamReport, report_upstreams
from tests.unit.reports.test_traffic import DAYS, GIB, TODAY, USAGE

HUB = ("https://a.example", "https://b.example")
NOW = 1_000_000.0
LIMIT = RateLimit(HUB[0], "me", 100, 73, 3600.0, "", NOW)
ROWS = [
    DayRow(DAYS[-8], "blobs", "hit", 1, 1 * GIB),
    DayRow(TODAY, "blobs", "hit", 9, 3 * GIB),
    DayRow(TODAY, "blobs", "miss", 1, 1 * GIB),
    DayRow(TODAY, UPSTREAM, "docker.io", 3, 1 * GIB),
]


def report(
    *states: EndpointState, limits: Sequence[RateLimit] = (), now: float = NOW
) -> list[UpstreamReport]:
    """Return the report of an upstream with two endpoints, of which some were asked."""
    found = {("docker.io", url): state for url, state in zip(HUB, states, strict=False)}
    upstreams = {"docker.io": [(HUB[0], "me"), (HUB[1], "")], "ghcr.io": [("https://ghcr.io", "")]}
    return report_upstreams(upstreams, found, limits, now)


FACTS = StatusFacts(
    version="1.2.3",
    data="/srv/data",
    offline=False,
    unready="",
    server=ServerState(["127.0.0.1:5001"], {}),
    clients=4,
    usage=USAGE,
    rows=ROWS,
    days=DAYS,
    upstreams=report(EndpointState(True, NOW)),
)


def test_all_is_well() -> None:
    status = report_status(FACTS)

    assert (status.well, status.running, status.problems) == (True, True, [])
    assert next(draw_status(status)) == "All is well."


@pytest.mark.parametrize(
    ("facts", "kind", "words"),
    [
        (replace(FACTS, server=ServerState([], {})), "not running", "No server is running"),
        (
            replace(FACTS, unready="worker 0 does not answer"),
            "not ready",
            "The server cannot answer all pulls: worker 0 does not answer.",
        ),
        (
            replace(FACTS, upstreams=report(EndpointState(False), EndpointState(False))),
            "no answer",
            "docker.io does not answer.",
        ),
        (
            replace(FACTS, upstreams=report(limits=[replace(LIMIT, remaining=9)])),
            "few pulls",
            "docker.io has 9 of 100 pulls left.",
        ),
        (
            replace(FACTS, rows=[*ROWS, DayRow(TODAY, PASSED_THROUGH, "", 3, 0)]),
            "not stored",
            "Blobs were not stored today, as there was no space: 3 times.",
        ),
        (
            replace(FACTS, usage=replace(USAGE, free=GIB)),
            "no space",
            "The disk has less free space than storage.reserve.",
        ),
        (
            replace(FACTS, usage=replace(USAGE, use=replace(USAGE.use, quarantined=1))),
            "damaged",
            "Damaged blobs are in quarantine/: check the disk.",
        ),
    ],
)
def test_what_is_not_well_comes_first(facts: StatusFacts, kind: str, words: str) -> None:
    """The first line is the worst problem, in a sentence."""
    status = report_status(facts)

    assert not status.well
    assert [each.kind for each in status.problems] == [kind]
    assert next(draw_status(status)).startswith(words)


def test_the_worst_is_first() -> None:
    """A server that does not run is worse than all that follows from it."""
    facts = replace(
        FACTS,
        server=ServerState([], {}),
        upstreams=report(EndpointState(False), limits=[replace(LIMIT, remaining=0)]),
    )

    kinds = [each.kind for each in report_status(facts).problems]

    assert kinds == ["not running", "no answer", "few pulls"]


@pytest.mark.parametrize("row", [DayRow(DAYS[-2], PASSED_THROUGH, "", 3, 0)])
def test_what_is_over_is_no_problem(row: DayRow) -> None:
    """Neither is what happened yesterday, nor a pull limit whose period has ended."""
    used_up = report(limits=[replace(LIMIT, remaining=0)], now=NOW + 3600)
    assert report_status(replace(FACTS, rows=[*ROWS, row], upstreams=used_up)).well


def test_an_upstream_answers_if_one_endpoint_does() -> None:
    """Endpoints that were not asked say nothing."""
    unasked, down, up = (
        report()[0],
        report(EndpointState(False, 5.0))[0],
        report(EndpointState(False, 5.0), EndpointState(True, 7.0))[0],
    )

    assert [unasked.answers, down.answers, up.answers] == [None, False, True]
    assert [unasked.last_success, down.last_success, up.last_success] == [0.0, 5.0, 7.0]
    assert [each.answers for each in down.endpoints] == [False, None]
    assert (
        report(limits=[LIMIT, replace(LIMIT, endpoint="https://c.example")])[0].budgets[0]
        == (report(limits=[LIMIT])[0].budgets[0])
    )


def draw(**changes: object) -> str:
    status: Status = report_status(replace(FACTS, **changes))  # type: ignore[arg-type]
    return "\n".join(draw_status(status))


def test_people_read_the_facts() -> None:
    """Saved bytes and ratios of three periods, the space, and each upstream of the settings."""
    text = draw(upstreams=report(EndpointState(True, NOW), limits=[LIMIT]))

    assert "saved      today: 3 GiB (4 GiB sent, 1 GiB fetched)" in text
    assert "           7 days: 3 GiB (4 GiB sent, 1 GiB fetched)" in text
    assert "           30 days: 4 GiB (5 GiB sent, 1 GiB fetched)" in text
    assert "hit ratio  today: 75.0% of the bytes, 90.0% of 10 answers" in text
    assert "space      40 GiB of 100 GiB used (5 GiB pinned), 500 GiB free on the disk" in text
    assert "now        0 downloads, 4 clients in the last hour" in text
    assert "upstreams  docker.io: answers; 73 of 100 pulls of me left, resets 1970-01-1" in text
    assert "           not asked since the server has started: ghcr.io" in text


def test_people_read_what_fails() -> None:
    both = draw(upstreams=report(EndpointState(False, 0.0), EndpointState(False, 0.0)))
    one = draw(upstreams=report(EndpointState(True, 9.0), EndpointState(False, 0.0)))

    assert "docker.io: does not answer, last answered: never" in both
    assert f"docker.io: answers; {HUB[1]} does not, last answered: never" in one


def test_people_read_when_it_is_full() -> None:
    """At the limit, what was pulled longest ago is deleted; before, days are told."""
    stored = DayRow(TODAY, "stored", "", 0, 20 * GIB)
    rows = [*ROWS[1:], stored]

    assert "full in about 3 days at this week's rate" in draw(rows=rows)
    assert "full within a day" in draw(rows=rows, usage=replace(USAGE, used=90 * GIB))
    full = draw(rows=rows, usage=replace(USAGE, used=96 * GIB))
    assert "what was pulled longest ago is deleted to store others" in full


def test_a_mirror_of_today_has_one_period() -> None:
    text = draw(rows=ROWS[1:])
    assert "today" in text
    assert "7 days" not in text


def test_an_offline_mirror_asks_nobody() -> None:
    assert "upstreams  none is asked: offline = true" in draw(offline=True)
    unasked = "upstreams  not asked since the server has started: docker.io, ghcr.io"
    assert unasked in draw(upstreams=report())
    stopped = ServerState([], {})
    assert "upstreams  not known: docker.io, ghcr.io" in draw(upstreams=report(), server=stopped)
    limited = draw(upstreams=report(limits=[LIMIT]), server=stopped)
    assert "upstreams  docker.io: 73 of 100 pulls of me left" in limited
    assert "hit ratio  today: no pulls" in draw(rows=[])
