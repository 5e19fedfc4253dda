"""Laws of the one sentence: which finding comes first."""

from dataclasses import replace

import pytest

from registry.content.served import PASSED_THROUGH
from registry.content.traffic import DayRow
from registry.oci.rate_limits import RateLimit
from registry.reports.console.health import Signs, find_worst
from registry.reports.status import StatusFacts, count_refused, report_status
from tests.unit.reports.test_status import FACTS
from tests.unit.reports.test_traffic import TODAY, USAGE

NOW = 1000.0
WELL = Signs(NOW, limit=1000, pinned=100)
LIMIT = RateLimit("https://registry-1.docker.io", "", 100, 9, 3600.0, "", NOW)


def find(**values: object) -> tuple[str, str]:
    found = find_worst(replace(WELL, **values))  # type: ignore[arg-type]
    return found.state, found.finding


def test_the_worst_comes_first() -> None:
    """Pulls that cannot be answered, silent upstreams, limits, then space and damage."""
    assert find() == ("ok", "ok")
    assert find(is_offline=True) == ("ok", "offline")
    signs: dict[str, object] = {}
    for finding, more in (
        ("pinned", {"pinned": 980}),
        ("damaged", {"damaged": 5}),
        ("no_space", {"has_reserve": False}),
        ("not_stored", {"refused": 1}),
        ("pull_limit", {"pull_limits": [LIMIT]}),
        ("outage", {"outages": {"ghcr.io": NOW - 60, "docker.io": NOW - 240}}),
    ):
        signs |= more
        assert find(**signs) == ("warn", finding)
    assert find(trouble="worker 1 does not answer", **signs) == ("fail", "trouble")


@pytest.mark.parametrize(
    "facts",
    [
        FACTS,
        replace(FACTS, unready="worker 0 does not answer"),
        replace(FACTS, rows=[DayRow(TODAY, PASSED_THROUGH, "", 3, 0)]),
        replace(FACTS, usage=replace(USAGE, free=1)),
        replace(FACTS, usage=replace(USAGE, use=replace(USAGE.use, quarantined=1))),
        replace(FACTS, usage=replace(USAGE, use=replace(USAGE.use, pinned=USAGE.limit))),
    ],
)
def test_the_page_and_the_command_agree(facts: StatusFacts) -> None:
    """What is a problem for `entrepot status` is one for the first page, and the same one."""
    usage, status = facts.usage, report_status(facts)
    found = find_worst(
        Signs(
            NOW,
            facts.unready,
            damaged=usage.use.quarantined,
            limit=usage.limit,
            pinned=usage.use.pinned,
            refused=count_refused(facts.rows, TODAY),
            has_reserve=usage.free >= usage.reserve,
        )
    )

    kinds = [each.kind.replace(" ", "_") for each in status.problems] or ["ok"]
    assert kinds == ["not_ready" if found.finding == "trouble" else found.finding]


def test_the_latest_failure_is_told() -> None:
    """Of two silent upstreams, the one that was asked last, and when that was."""
    found = find_worst(replace(WELL, outages={"ghcr.io": NOW - 60, "docker.io": NOW - 240}))

    assert found.facts == {"upstream": "ghcr.io", "failed_at": NOW - 60}


def test_an_old_pull_limit_is_no_finding() -> None:
    """When its period is over, nobody knows what is left."""
    assert find(pull_limits=[replace(LIMIT, seen=NOW - 3600)]) == ("ok", "ok")
