"""The picture of the table: one group of bars a case, drawn by hand as SVG."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from xml.sax.saxutils import escape

from benchmarks.bench import Case
from benchmarks.results import MEASURES, US, ImageOutcome

WIDTH = 900
LEFT = 190  # where bars begin
MOST = 520  # how long the longest bar of a group is
ROW = 18
GAP = 44
COLOURS: Mapping[str, str] = MappingProxyType(
    {
        US: "#0b6e99",
        "nginx": "#7a9a01",
        "docker-registry": "#c98b2b",
        "distribution-3": "#e0b96a",
        "nora": "#7d5ba6",
        "angos": "#b56576",
        "drayage": "#a0522d",
    }
)
OTHERS = "#8a8f98"
STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#222}.t{font-weight:600;font-size:13px}"
    ".s{fill:#666}@media(prefers-color-scheme:dark){text{fill:#ddd}.s{fill:#aaa}}</style>"
)


def draw_bars(cases: Sequence[Case], outcomes: Mapping[str, ImageOutcome]) -> str:
    """Return an SVG of one measure of each case; the longest bar of a group has the full width."""
    drawn: list[str] = []
    top = 16
    for case in cases:
        outcome = outcomes.get(case.name)
        if outcome is None or not case.picture:
            continue
        rows = _draw_group(outcome, case.picture, top)
        drawn += rows.lines
        top = rows.bottom + GAP - ROW
    return frame(WIDTH, top, drawn)


class _Group:
    """Lines of SVG, and where they end."""

    def __init__(self, lines: list[str], bottom: int) -> None:
        self.lines = lines
        self.bottom = bottom


def _draw_group(outcome: ImageOutcome, measure: str, top: int) -> _Group:
    spreads = {name: outcome.spread(name, measure) for name in outcome.samples}
    known = {name: spread for name, spread in spreads.items() if spread is not None}
    longest = max((spread.most for spread in known.values()), default=0.0) or 1.0
    head, decimals = MEASURES[measure]
    title = f"{escape(outcome.headline)} <tspan class='s'>{escape(head)}</tspan>"
    lines = [f"<text class='t' x='8' y='{top + 12}'>{title}</text>"]
    y = top + 22
    for name, spread in known.items():
        length = MOST * spread.median / longest
        ends = [LEFT + MOST * value / longest for value in (spread.least, spread.most)]
        middle = y + ROW / 2 - 1
        lines += [
            label(LEFT - 8, y + 12, name, "end"),
            _bar(y, length, COLOURS.get(name, OTHERS)),
            f"<path d='M{ends[0]:.1f} {middle}H{ends[1]:.1f}' stroke='#222' stroke-opacity='.55'/>",
            label(max(LEFT + length, ends[1]) + 6, y + 12, f"{spread.median:,.{decimals}f}"),
        ]
        y += ROW
    for name, why in (outcome.missing | outcome.failures).items():
        if name not in known:
            kind = "missing" if name in outcome.missing else "failed"
            lines += [
                label(LEFT - 8, y + 12, name, "end"),
                label(LEFT, y + 12, f"{kind}: {why[:70]}"),
            ]
            y += ROW
    return _Group(lines, y + ROW)


def _bar(y: float, length: float, colour: str) -> str:
    size = f"width='{length:.1f}' height='{ROW - 4}'"
    return f"<rect x='{LEFT}' y='{y}' {size} fill='{colour}'/>"


def label(x: float, y: float, text: str, anchor: str = "start") -> str:
    """Return a line of text."""
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'>{escape(text)}</text>"


def frame(width: int, height: int, lines: Iterable[str]) -> str:
    """Return an SVG document around these lines."""
    size = f"width='{width}' height='{height}' viewBox='0 0 {width} {height}'"
    body = "\n".join(lines)
    return f"<svg xmlns='http://www.w3.org/2000/svg' {size} role='img'>\n{STYLE}\n{body}\n</svg>\n"
