"""Laws of the one sentence: which finding comes first."""

from dataclasses import replace

from registry.oci.rate_limits import RateLimit
from registry.reports.console.health import Signs, find_worst

NOW = 1000.0
WELL = Signs(NOW, limit=1000, pinned=100)
LIMIT = RateLimit("https://registry-1.docker.io", "", 100, 9, 3600.0, "", NOW)


def find(**values: object) -> tuple[str, str]:
    found = find_worst(replace(WELL, **values))  # type: ignore[arg-type]
    return found.state, found.finding


def test_the_worst_comes_first() -> None:
    """Pulls that cannot be answered, then silent upstreams, then damage, room and limits."""
    assert find() == ("ok", "ok")
    assert find(is_offline=True) == ("ok", "offline")
    low = {"pull_limits": [LIMIT]}
    assert find(**low) == ("warn", "pull_limit")
    full = {"pinned": 980, **low}
    assert find(**full) == ("warn", "pinned")
    damaged = {"damaged": 5, **full}
    assert find(**damaged) == ("warn", "damaged")
    silent = {"outages": {"ghcr.io": NOW - 60, "docker.io": NOW - 240}, **damaged}
    assert find(**silent) == ("warn", "outage")
    assert find(trouble="worker 1 does not answer", **silent) == ("fail", "trouble")


def test_the_latest_failure_is_told() -> None:
    """Of two silent upstreams, the one that was asked last, and when that was."""
    found = find_worst(replace(WELL, outages={"ghcr.io": NOW - 60, "docker.io": NOW - 240}))

    assert found.facts == {"upstream": "ghcr.io", "failed_at": NOW - 60}


def test_an_old_pull_limit_is_no_finding() -> None:
    """When its period is over, nobody knows what is left."""
    assert find(pull_limits=[replace(LIMIT, seen=NOW - 3600)]) == ("ok", "ok")
