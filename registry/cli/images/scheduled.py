"""`entrepot images warm --scheduled`: when each prefetch of the settings runs, and last ran."""

import time
from collections.abc import Iterator, Sequence

from registry.cli.printing import print_report
from registry.cli.session import Session
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_age, format_bytes, format_count, format_moment
from registry.cli.upstreams.numbers import format_long
from registry.reports.prefetches import PrefetchOutcome, ScheduledPrefetch
from registry.settings.values import format_duration


async def show_scheduled(session: Session, *, as_json: bool) -> bool:
    """Print the prefetches of the settings; nothing is downloaded. Return true.

    Raises:
        StoreError: the catalog refused.
    """
    print_report(list_scheduled(session, time.time()), draw_scheduled, as_json=as_json)
    return True


def list_scheduled(session: Session, now: float) -> list[ScheduledPrefetch]:
    """Return the prefetches of the settings in their order; `now` is in epoch seconds."""
    from registry.mirror.prefetch_schedule import find_next  # noqa: PLC0415

    runs, found = session.content.prefetch_runs, []
    for prefetch in session.settings.prefetch:
        ended, facts = runs.find(prefetch.name), runs.find_result(prefetch.name)
        due = None if session.settings.offline else find_next(prefetch, ended, now)
        found.append(
            ScheduledPrefetch(
                prefetch.name,
                prefetch.at,
                prefetch.every,
                due,
                ended if facts else None,
                PrefetchOutcome.of(facts) if facts else None,
            )
        )
    return found


def draw_scheduled(scheduled: Sequence[ScheduledPrefetch]) -> Iterator[str | Table]:
    """Yield the table of prefetches. Pure, but for the zone and the age."""
    if not scheduled:
        yield "no prefetch is scheduled; write a [[prefetch]] table in the settings to have one"
        return
    columns = ("NAME", "RUNS", "NEXT", "LAST RUN", "RESULT")
    table = make_table(*columns, names="NAME", whole=("RUNS", "NEXT", "LAST RUN"))
    for each in scheduled:
        table.add_row(
            each.name,
            f"at {each.at}" if each.at else f"every {format_duration(each.every)}",
            "offline" if each.next is None else _format_due(each.next),
            format_age(each.ended or 0.0),
            "-" if each.last is None else _format_outcome(each.last),
        )
    yield table


def _format_due(moment: float) -> str:
    return "now" if moment <= time.time() else format_moment(moment)


def _format_outcome(last: PrefetchOutcome) -> str:
    if last.why:
        return f"failed: {last.why}"
    counts = [("complete", last.complete), ("failed", last.failed), ("skipped", last.skipped)]
    told = ", ".join(f"{count} {name}" for name, count in counts if count)
    amount = f"{format_bytes(last.fetched)} in {format_long(last.seconds)}"
    return f"{format_count(last.images, 'image')}{f': {told}' if told else ''}; {amount}"
