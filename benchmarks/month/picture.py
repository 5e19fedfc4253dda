"""The picture of a month as SVG: what each endpoint gives, and how long pulls take."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from types import MappingProxyType
from xml.sax.saxutils import escape

from benchmarks.chart import frame, label
from benchmarks.month.play import Played
from benchmarks.month.results import MEASURED, WRITTEN, list_single, list_times
from benchmarks.month.script import MIB, EndpointScript, Fault, Month

WIDTH, LEFT, RIGHT = 1040, 310, 20
ACROSS = WIDTH - LEFT - RIGHT
ROW, GAP = 46, 12
TIMES = 190  # the height of the lower part
FULL = 10 * MIB  # bytes/s at the top of a row
OFFERED, TAKEN = "#c9d6df", "#0b6e99"
FAULTS: Mapping[Fault, tuple[str, str]] = MappingProxyType(
    {
        Fault.LYING: ("#d1495b", "sends wrong bytes"),
        Fault.REFUSED: ("#55595f", "cannot be reached, or answers 503"),
        Fault.SILENT: ("#55595f", ""),
        Fault.BROKEN: ("#55595f", ""),
        Fault.THROTTLED: ("#c98b2b", "answers 429"),
    }
)
LINES = MappingProxyType({MEASURED: ("#0b6e99", 3), WRITTEN: ("#c98b2b", 2)})
SINGLE = ("#7a9a01", 2)
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100)  # seconds


def draw_month(month: Month, results: Mapping[str, Played]) -> str:
    """Return an SVG of the month, with what came of it when all endpoints were measured."""
    lines = [
        _title(
            20, 'What each endpoint gives, and what a mirror with order = "measured" takes from it'
        )
    ]
    lines += _draw_legend(40)
    top = 78
    sent = results[MEASURED].sent
    days = [sum(of_day) or 1 for of_day in zip(*sent.values(), strict=True)]
    for endpoint in month.endpoints:
        shares = [part / whole for part, whole in zip(sent[endpoint.name], days, strict=True)]
        lines += _draw_endpoint(month, endpoint, shares, top)
        top += ROW + GAP
    top += 26
    lines.append(_title(top, "How long a pull takes: the median of each day, in seconds"))
    lines += _draw_times(month, results, top + 14)
    return frame(WIDTH, top + TIMES + 64, lines)


def _title(y: float, text: str) -> str:
    return f"<text class='t' x='8' y='{y}'>{escape(text)}</text>"


def _draw_legend(y: float) -> list[str]:
    known = [
        (OFFERED, "rate that it gives (full height: 10 MiB/s)"),
        (TAKEN, "its part of the bytes of that day (full height: all)"),
    ]
    known += [pair for pair in FAULTS.values() if pair[1]]
    lines, x = [], 8.0
    for colour, text in known:
        if x + 6.1 * len(text) > WIDTH - 40:
            x, y = 8.0, y + 18
        lines.append(_box(x, y - 9, 10, 10, colour=colour))
        lines.append(label(x + 15, y, text))
        x += 34 + 6.1 * len(text)
    return lines


def _box(x: float, y: float, width: float, height: float, *, colour: str) -> str:
    size = f"x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}'"
    return f"<rect {size} fill='{colour}'/>"


def _draw_endpoint(
    month: Month, endpoint: EndpointScript, shares: Sequence[float], top: float
) -> list[str]:
    """Draw one row: the rate of each hour, the part of each day's bytes, and the faults."""
    hours = int(24 * month.days)
    step, bottom = ACROSS / hours, top + ROW
    points = []
    for hour in range(hours):
        is_gone = endpoint.find_fault(hour) in (Fault.SILENT, Fault.REFUSED, Fault.BROKEN)
        height = 0.0 if is_gone else ROW * min(1.0, endpoint.find_rate(hour) / FULL)
        points.append(f"V{bottom - height:.1f}h{step:.3f}")
    about = f"<tspan class='s' x='{LEFT - 10}' dy='15'>{escape(endpoint.about)}</tspan>"
    name = f"<tspan class='t'>{escape(endpoint.name)}</tspan>"
    lines = [
        f"<text x='{LEFT - 10}' y='{top + 20}' text-anchor='end'>{name}{about}</text>",
        f"<path d='M{LEFT} {bottom}{''.join(points)}V{bottom}Z' fill='{OFFERED}'/>",
    ]
    width = ACROSS / month.days
    for day, share in enumerate(shares[: math.ceil(month.days)]):
        if share >= 0.005:
            x, height = LEFT + day * width, ROW * share
            lines.append(_box(x + 2, bottom - height, width - 4, height, colour=TAKEN))
    for period in endpoint.periods:
        start, stop = (min(hours, hour) * step for hour in (period.start, period.stop))
        colour = FAULTS[period.fault][0]
        lines.append(_box(LEFT + start, bottom, max(1.0, stop - start), 5, colour=colour))
    return lines


def _draw_times(month: Month, results: Mapping[str, Played], top: float) -> list[str]:
    best = next(iter(list_single(results)))
    drawn = {MEASURED: 'all, order = "measured"', WRITTEN: 'all, order = "written"'}
    drawn[best] = f"the best single endpoint ({best})"
    bottom = top + TIMES
    lines = []
    for tick in TICKS:
        y = _place(tick, top)
        lines.append(f"<path d='M{LEFT} {y:.1f}H{WIDTH - RIGHT}' stroke='#888' opacity='.25'/>")
        lines.append(label(LEFT - 6, y + 4, f"{tick:g}", "end"))
    for day in range(0, int(month.days), max(1, int(month.days / 15))):
        x = LEFT + (day + 0.5) * ACROSS / month.days
        lines.append(label(x, bottom + 16, str(day + 1), "middle"))
    lines.append(label(LEFT + ACROSS / 2, bottom + 34, "day", "middle"))
    for number, name in enumerate((best, WRITTEN, MEASURED)):
        colour, width = LINES.get(name, SINGLE)
        spots = [
            (LEFT + (day + 0.5) * ACROSS / month.days, _place(seconds, top))
            for day, seconds in _find_medians(results[name]).items()
        ]
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        stroke = f"stroke='{colour}' stroke-width='{width}' stroke-linejoin='round'"
        lines.append(f"<polyline points='{way}' fill='none' {stroke}/>")
        y = top + 20 + 34 * (2 - number)
        lines.append(_box(8, y - 9, 14, 4, colour=colour))
        lines.append(label(28, y - 4, drawn[name]))
        lines.append(f"<text class='s' x='28' y='{y + 11}'>{_describe(results[name])}</text>")
    return lines


def _describe(played: Played) -> str:
    times = list_times(played)
    return f"{sum(map(math.isfinite, times)):,} of {len(times):,} served"


def _place(seconds: float, top: float) -> float:
    """Return the height of a time; the axis is logarithmic, and ends at the last tick."""
    least, most = math.log(TICKS[0]), math.log(TICKS[-1])
    share = (math.log(min(TICKS[-1], max(TICKS[0], seconds))) - least) / (most - least)
    return top + TIMES * (1 - share)


def _find_medians(played: Played) -> dict[int, float]:
    """Return the median time of the pulls of each day."""
    days: dict[int, list[float]] = {}
    for pull in played.pulls:
        seconds = TICKS[-1] if pull.seconds is None else pull.seconds
        days.setdefault(int(pull.at / 24), []).append(seconds)
    return {day: median(times) for day, times in days.items()}
