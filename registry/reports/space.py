"""The report of the space of a data folder: what is used, and when it will be full."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.content.served import EVICTED, STORED
from registry.reports.traffic import WEEK

if TYPE_CHECKING:
    from registry.content.traffic import DayRow
    from registry.content.usage import SpaceUse

_LONGEST = 3650  # days; what is further away is not told


@dataclass(frozen=True, slots=True)
class SpaceReport:
    """The bytes that are `used` of `limit`, those of them that are `pinned`, and the free disk.

    The file system has `free` bytes, of which `reserve` stay free. `growth` is by how many bytes a
    day the used bytes grow in this week, and `full_in` after how many days there is no space any
    more (None: never, or not within ten years). Then blobs are deleted for others.
    """

    used: int
    limit: int
    pinned: int
    quarantined: int
    free: int
    reserve: int
    growth: int
    full_in: float | None


def report_space(usage: "SpaceUse", rows: "Sequence[DayRow]", days: Sequence[str]) -> SpaceReport:
    """Return the report of the space; `rows` are of `days`, of which the last one is today. Pure.

    A week that is not over yet is measured by the days of which something is recorded.
    """
    growth = find_growth(rows, days[-WEEK:])
    left = min(usage.limit - usage.used, usage.free - usage.reserve)
    full_in = max(0, left) / growth if growth > 0 else None
    return SpaceReport(
        used=usage.used,
        limit=usage.limit,
        pinned=usage.use.pinned,
        quarantined=usage.use.quarantined,
        free=usage.free,
        reserve=usage.reserve,
        growth=round(growth),
        full_in=full_in if full_in is not None and full_in <= _LONGEST else None,
    )


def find_growth(rows: "Sequence[DayRow]", days: Sequence[str]) -> float:
    """Return by how many bytes a day the used bytes grew in `days`. Pure."""
    recent = [each for each in rows if each.day in days]
    stored = sum(each.bytes for each in recent if each.kind == STORED)
    evicted = sum(each.bytes for each in recent if each.kind == EVICTED)
    first = min((each.day for each in recent), default=None)
    return 0.0 if first is None else (stored - evicted) / (len(days) - list(days).index(first))
