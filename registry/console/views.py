"""How facts become pictures: the parts of bars, in percent. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from registry.reports.console.overview import DiskSpace
from registry.reports.traffic import Day

TALLEST = 20.0  # the height of the picture of days


@dataclass(frozen=True, slots=True)
class BarPart:
    """A part of a bar: which kind, where it begins and how wide it is (percent), and its bytes."""

    kind: str
    start: float
    width: float
    size: int


def draw_space(space: DiskSpace) -> Sequence[BarPart]:
    """Return the parts of the bar of the used space, of which the limit is the whole."""
    whole = max(space.limit, space.used, 1)
    pinned = min(space.pinned or 0, space.used)
    others = max(0, space.used - pinned - space.downloading - space.damaged)
    sizes = {
        "pinned": pinned,
        "images": others,
        "downloading": space.downloading,
        "damaged": space.damaged,
        "unused": max(0, min(space.limit - space.used, space.free - space.reserve)),
    }
    parts: list[BarPart] = []
    start = 0.0
    for kind, size in sizes.items():
        width = min(100.0 - start, 100.0 * size / whole)
        if size:
            parts.append(BarPart(kind, round(start, 2), round(width, 2), size))
        start += width
    return parts


def draw_days(days: Sequence[Day]) -> Sequence[BarPart]:
    """Return a column for each day with what was saved; `width` is its height, and `start` its top.

    The largest is as tall as the picture. A day with little has a column that can be seen.
    """
    largest = max((day.saved for day in days), default=0)
    parts = []
    for day in days:
        height = max(1.0, TALLEST * day.saved / largest) if day.saved else 0.0
        parts.append(BarPart(day.day, round(TALLEST - height, 2), round(height, 2), day.saved))
    return parts
