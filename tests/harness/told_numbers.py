"""The same numbers as each place tells them: metrics, console, its pages, and commands."""

import html
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from registry.console.messages import load_messages
from registry.settings.values import format_bytes
from tests.harness.console_browser import ConsoleBrowser
from tests.harness.mirror import MirrorProcess

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_CONTENT = ("manifests", "blobs")
Outcomes = dict[tuple[str, str], dict[str, int]]  # by upstream and endpoint


@dataclass(frozen=True)
class Numbers:
    """What was answered and downloaded, and what is stored; what a place does not tell is None."""

    requests: dict[str, int] | None = None  # by origin
    sent: dict[str, int] | None = None
    fetched: int | None = None
    saved: int | None = None
    images: int | None = None
    blobs: int | None = None
    used: int | None = None
    outcomes: Outcomes | None = None


def read_metrics(console: ConsoleBrowser) -> Numbers:
    """Return the numbers of `/metrics`."""
    requests: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    outcomes: dict[tuple[str, str], Counter[str]] = {}
    for name, text, number in _SAMPLE.findall(console.ask("/metrics").text):
        labels, amount = dict(_LABEL.findall(text)), int(float(number))
        totals[name] += amount
        if labels.get("kind") in _CONTENT and labels.get("origin"):
            requests[labels["origin"]] += amount * (name == "entrepot_requests_total")
            sent[labels["origin"]] += amount * (name == "entrepot_sent_bytes_total")
        if name == "entrepot_upstream_requests_total":
            endpoint = outcomes.setdefault((labels["upstream"], labels["endpoint"]), Counter())
            endpoint[labels["outcome"]] += amount
    fetched = totals["entrepot_downloaded_bytes_total"]
    return Numbers(
        dict(requests),
        dict(sent),
        fetched,
        max(0, sent.total() - fetched),
        totals["entrepot_images"],
        totals["entrepot_blobs"],
        totals["entrepot_used_bytes"],
        {key: dict(each) for key, each in outcomes.items()},
    )


def read_console(console: ConsoleBrowser) -> Numbers:
    """Return the numbers of the JSON of the pages."""
    overview, upstreams = console.read("/"), console.read("/upstreams")["upstreams"]
    today = overview["traffic"]["today"]
    return Numbers(
        **_read_traffic(today),
        images=overview["images"],
        blobs=overview["blobs"],
        used=overview["space"]["used"],
        outcomes=_read_outcomes(each for one in upstreams for each in one["endpoints"]),
    )


def read_status(mirror: MirrorProcess) -> Numbers:
    """Return the numbers of `entrepot status`."""
    status = _run(mirror, "status")
    endpoints = (
        each | {"upstream": one["upstream"]}
        for one in status["upstreams"]
        for each in one["endpoints"]
    )
    return Numbers(
        **_read_traffic(status["traffic"]["today"]),
        used=status["space"]["used"],
        outcomes=_read_outcomes(endpoints),
    )


def read_commands(mirror: MirrorProcess) -> Numbers:
    """Return the numbers of `images ls`, `cache stats` and `upstreams ls`."""
    stats = _run(mirror, "cache", "stats")
    return Numbers(
        saved=stats["savings"]["saved"],
        images=len(_run(mirror, "images", "ls")),
        blobs=stats["use"]["count"],
        used=stats["used"],
        outcomes=_read_outcomes(_run(mirror, "upstreams", "ls")),
    )


def read_top(mirror: MirrorProcess) -> Numbers:
    """Return the numbers of `entrepot top`."""
    status = _run(mirror, "top")["status"]
    return Numbers(**_read_traffic(status["traffic"]["today"]), used=status["space"]["used"])


def list_missing_texts(console: ConsoleBrowser, numbers: Numbers) -> list[str]:
    """Return which of the numbers are not on the pages for people, in their form for people."""
    assert None not in (numbers.requests, numbers.saved, numbers.used, numbers.outcomes)
    say = load_messages()["en"]
    overview = html.unescape(console.ask("/", {"Accept-Language": "en"}).text)
    upstreams = html.unescape(console.ask("/upstreams", {"Accept-Language": "en"}).text)
    wanted = [
        (overview, f"<strong>{format_bytes(numbers.saved or 0)}</strong>"),
        (overview, f"<strong>{format_bytes(numbers.used or 0)}</strong>"),
        (overview, f"<strong>{numbers.images}</strong>"),
        (overview, say("held.blobs", n=numbers.blobs)),
        (overview, _join(say, "origin", numbers.requests or {})),
        *((upstreams, _join(say, "outcome", each)) for each in (numbers.outcomes or {}).values()),
    ]
    return [text for page, text in wanted if text not in page]


def _join(say: Any, table: str, numbers: dict[str, int]) -> str:
    return " · ".join(f"{say(f'{table}.{key}')} {each:,}" for key, each in sorted(numbers.items()))


def _read_traffic(period: dict[str, Any]) -> dict[str, Any]:
    origins = period["origins"].items()
    found = {
        "requests": {origin: each["requests"] for origin, each in origins},
        "sent": {origin: each["sent"] for origin, each in origins},
    }
    assert sum(found["requests"].values()) == period["requests"]
    assert sum(found["sent"].values()) == period["sent"]
    return found | {"fetched": period["fetched"], "saved": period["saved"]}


def _read_outcomes(endpoints: Any) -> Outcomes:
    return {
        (each["upstream"], each["endpoint"]): each["outcomes"]
        for each in endpoints
        if each["outcomes"]
    }


def _run(mirror: MirrorProcess, *arguments: str) -> Any:
    result = mirror.run(*arguments, "--json")
    assert result.stdout, result.stderr
    return json.loads(result.stdout)
