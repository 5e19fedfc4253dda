"""The text of `entrepot status`."""

from collections.abc import Iterator

from registry.cli.terminal import format_age, format_bytes, format_count, format_moment
from registry.reports.space import SpaceReport
from registry.reports.status import Status
from registry.reports.traffic import Period, TrafficReport
from registry.reports.upstream_states import PullBudget, UpstreamReport

_LABEL = 10  # columns of the names of facts
FULL = 0.95  # the part of the limit down to which blobs are deleted to store others


def draw_status(status: Status) -> Iterator[str]:
    """Yield the lines of a status: first a sentence that says whether all is well."""
    if status.well:
        yield "All is well."
    yield from (each.sentence for each in status.problems)
    yield from label("saved", draw_saved(status.traffic))
    yield from label("hit ratio", _draw_ratios(status.traffic))
    yield from label("space", [_format_space(status.space)])
    downloads = format_count(status.downloads.count, "download")
    clients = format_count(status.clients, "client")
    yield from label("now", [f"{downloads}, {clients} in the last hour"])
    yield from label("upstreams", draw_upstreams(status))


def label(name: str, lines: Iterator[str] | list[str]) -> Iterator[str]:
    """Yield lines below each other, the first one after the name of what they say."""
    for line in lines:
        yield f"{name:<{_LABEL}} {line}"
        name = ""


def _list_periods(traffic: TrafficReport) -> Iterator[tuple[str, Period]]:
    yield "today", traffic.today
    if traffic.since and traffic.since < traffic.history[-1].day:
        yield "7 days", traffic.week
        yield "30 days", traffic.month


def draw_saved(traffic: TrafficReport, *, only_today: bool = False) -> Iterator[str]:
    """Yield how many bytes were saved, in each period of which something is known."""
    periods = [("today", traffic.today)] if only_today else _list_periods(traffic)
    for name, period in periods:
        sent, fetched = format_bytes(period.sent), format_bytes(period.fetched)
        yield f"{name}: {format_bytes(period.saved)} ({sent} sent, {fetched} fetched)"


def _draw_ratios(traffic: TrafficReport) -> Iterator[str]:
    for name, period in _list_periods(traffic):
        if period.requests:
            answers = format_count(period.requests, "answer")
            ratios = (
                f"{period.byte_hit_ratio:.1%} of the bytes, {period.hit_ratio:.1%} of {answers}"
            )
            yield f"{name}: {ratios}"
        else:
            yield f"{name}: no pulls"


def _format_space(space: SpaceReport) -> str:
    text = f"{format_bytes(space.used)} of {format_bytes(space.limit)} used"
    if space.pinned:
        text += f" ({format_bytes(space.pinned)} pinned)"
    text += f", {format_bytes(space.free)} free on the disk"
    if space.used >= FULL * space.limit:
        return f"{text}; what was pulled longest ago is deleted to store others"
    if space.full_in is None:
        return text
    when = "within a day" if space.full_in < 1 else f"in about {space.full_in:.0f} days"
    return f"{text}; full {when} at this week's rate"


def draw_upstreams(status: Status) -> Iterator[str]:
    """Yield a line for each upstream that was asked, and one for all others."""
    if status.offline:
        yield "none is asked: offline = true"
        return
    asked = [each for each in status.upstreams if each.answers is not None or each.budgets]
    for each in asked:
        yield f"{each.upstream}: {'; '.join(_describe_upstream(each))}"
    others = [each.upstream for each in status.upstreams if each not in asked]
    if others:
        state = "not asked since the server has started" if status.running else "not known"
        yield f"{state}: {', '.join(others)}"


def _describe_upstream(upstream: UpstreamReport) -> Iterator[str]:
    failing = [each for each in upstream.endpoints if each.answers is False]
    if upstream.answers is False:
        yield f"does not answer, last answered: {format_age(upstream.last_success)}"
    elif upstream.answers:
        yield "answers"
        yield from (
            f"{each.endpoint} does not, last answered: {format_age(each.last_success)}"
            for each in failing
        )
    yield from map(_format_budget, upstream.budgets)


def _format_budget(budget: PullBudget) -> str:
    whose = f" of {budget.identity}" if budget.identity else ""
    left = f"{budget.remaining} of {budget.allowed} pulls{whose} left"
    return f"{left}, resets {format_moment(budget.resets)}"
