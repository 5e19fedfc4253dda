"""The picture of cost growth: small panels, logarithmic both ways, drawn by hand as SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.chart import frame, label

WIDTH, HEIGHT = 290, 200  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 58, 20, 34, 36
COLUMNS = 3
COLOUR = "#0b6e99"


@dataclass(frozen=True)
class Curve:
    """One measure against one kind of growth: `points` are (how many, how much)."""

    title: str
    axis: str
    points: Sequence[tuple[float, float]]


def draw_curves(curves: Sequence[Curve]) -> str:
    """Return an SVG with a panel for each curve."""
    lines = []
    for number, curve in enumerate(curves):
        row, column = divmod(number, COLUMNS)
        lines.append(f"<g transform='translate({column * WIDTH},{row * HEIGHT})'>")
        lines += _draw_panel(curve)
        lines.append("</g>")
    rows = math.ceil(len(curves) / COLUMNS)
    return frame(COLUMNS * WIDTH, max(1, rows) * HEIGHT, lines)


def _draw_panel(curve: Curve) -> list[str]:
    lines = [f"<text class='t' x='{LEFT}' y='20'>{curve.title}</text>"]
    across = _Scale([x for x, _ in curve.points], LEFT, WIDTH - RIGHT)
    # From the top down, so that more is higher.
    up = _Scale([y for _, y in curve.points], HEIGHT - BOTTOM, TOP)
    for tick in across.ticks():
        x = across.place(tick)
        lines.append(f"<path d='M{x:.1f} {TOP}V{HEIGHT - BOTTOM}' stroke='#888' opacity='.25'/>")
        lines.append(label(x, HEIGHT - BOTTOM + 14, print_number(tick), "middle"))
    for tick in up.ticks():
        y = up.place(tick)
        lines.append(f"<path d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}' stroke='#888' opacity='.25'/>")
        lines.append(label(LEFT - 5, y + 4, print_number(tick), "end"))
    lines.append(label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, curve.axis, "middle"))
    spots = [(across.place(x), up.place(y)) for x, y in curve.points]
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    lines.append(f"<polyline points='{way}' fill='none' stroke='{COLOUR}' stroke-width='2'/>")
    lines += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{COLOUR}'/>" for x, y in spots]
    return lines


class _Scale:
    """Powers of ten along a line from one place to another."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        some = [value for value in values if value > 0] or [1.0]
        self._least = math.floor(math.log10(min(some)) + 1e-9)
        self._most = max(self._least + 1, math.ceil(math.log10(max(some)) - 1e-9))
        self._start = start
        self._end = end

    def ticks(self) -> list[float]:
        """Return the powers of ten that it spans."""
        return [10.0**power for power in range(self._least, self._most + 1)]

    def place(self, value: float) -> float:
        """Return the position of a value on the axis."""
        power = math.log10(value) if value > 0 else self._least
        share = (power - self._least) / (self._most - self._least)
        return self._start + share * (self._end - self._start)


def print_number(value: float) -> str:
    """Return a power of ten as people write it."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def print_table(rows: Sequence[Mapping[str, float]]) -> str:
    """Return the points as Markdown."""
    heads = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for row in rows:
        cells = [f"{row[name]:,.4g}" if name in row else "-" for name in heads]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
