"""The report of `entrepot status`: whether all is well, and what the mirror does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.content.served import PASSED_THROUGH
from registry.reports.cache import RunningDownloads
from registry.reports.space import SpaceReport, report_space
from registry.reports.traffic import TrafficReport, report_traffic
from registry.reports.upstream_states import PullBudget, UpstreamReport

if TYPE_CHECKING:
    from registry.content.server_state import ServerState
    from registry.content.traffic import DayRow
    from registry.content.usage import SpaceUse

FEW_PULLS = 0.1  # the part of a pull limit below which it is a problem
MOST_PINNED = 0.97  # the part of storage.limit above which pinned images leave no space for others


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not well: which of a few kinds it is, and a sentence about it.

    `subject` is the upstream that it is about, if it is about one.
    """

    kind: str
    sentence: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a server is running, and all is well; if not, the worst of the `problems` is first.

    `clients` is how many addresses have pulled within the last hour.
    """

    version: str
    data: str
    running: bool
    well: bool
    problems: Sequence[Problem]
    traffic: TrafficReport
    space: SpaceReport
    downloads: RunningDownloads
    clients: int
    offline: bool
    upstreams: Sequence[UpstreamReport]


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """What a status is made of; `rows` are those of `days`, of which the last one is today.

    `unready` says why a running server cannot answer some pulls (empty: it can answer all).
    """

    version: str
    data: str
    offline: bool
    unready: str
    server: "ServerState"
    clients: int
    usage: "SpaceUse"
    rows: "Sequence[DayRow]"
    days: Sequence[str]
    upstreams: Sequence[UpstreamReport]


def report_status(facts: StatusFacts) -> Status:
    """Return the report of these facts. Pure."""
    space = report_space(facts.usage, facts.rows, facts.days)
    problems = list(_find_problems(facts, space))
    return Status(
        version=facts.version,
        data=facts.data,
        running=facts.server.is_running,
        well=not problems,
        problems=problems,
        traffic=report_traffic(facts.rows, facts.days),
        space=space,
        downloads=RunningDownloads.of(facts.usage),
        clients=facts.clients,
        offline=facts.offline,
        upstreams=facts.upstreams,
    )


def _find_problems(facts: StatusFacts, space: SpaceReport) -> Iterator[Problem]:
    """Yield what is not well, the worst first."""
    if not facts.server.is_running:
        yield Problem("not running", "No server is running on this data folder.")
    elif facts.unready:
        yield Problem("not ready", f"The server cannot answer all pulls: {facts.unready}.")
    for each in facts.upstreams:
        if each.answers is False:
            yield Problem("no answer", f"{each.upstream} does not answer.", each.upstream)
    for each in facts.upstreams:
        yield from _find_used_up(each)
    refused = count_refused(facts.rows, facts.days[-1])
    if refused:
        yield Problem(
            "not stored", f"Blobs were not stored today, as there was no space: {refused} times."
        )
    if space.free < space.reserve:
        yield Problem("no space", "The disk has less free space than storage.reserve.")
    if space.quarantined:
        yield Problem("damaged", "Damaged blobs are in quarantine/: check the disk.")
    if space.pinned > MOST_PINNED * space.limit:
        yield Problem("pinned", "Pinned images use nearly all of storage.limit.")


def count_refused(rows: "Sequence[DayRow]", day: str) -> int:
    """Return how often a blob was not stored on a day, as there was no space. Pure."""
    return sum(each.requests for each in rows if each.kind == PASSED_THROUGH and each.day == day)


def _find_used_up(upstream: UpstreamReport) -> Iterator[Problem]:
    used_up = [each for each in upstream.budgets if is_low(each)]
    for each in used_up:
        sentence = f"{upstream.upstream} has {each.remaining} of {each.allowed} pulls left."
        yield Problem("few pulls", sentence, upstream.upstream)


def is_low(budget: PullBudget) -> bool:
    """Whether little is left of a pull limit."""
    return budget.remaining < FEW_PULLS * budget.allowed
