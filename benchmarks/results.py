"""What was measured, and how it compares: medians, spreads, ratios, and bars that are met or not.

A ratio is taken within a round, between neighbours in time, and the result is the median of the
rounds: so what disturbs the machine for a while disturbs both sides.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

US = "entrepot"
# Measure -> (how it is headed, decimals).
MEASURES: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "wall": ("wall, s", 3),
        "cpu": ("server CPU, s/GiB", 3),
        "throughput": ("MiB/s", 0),
        "rate": ("requests/s", 0),
        "cpu_each": ("server CPU, µs each", 1),
        "first_byte": ("first byte, ms", 1),
        "lookup": ("lookup, ms", 3),
        "latency": ("median, ms", 3),
        "tail": ("99th percentile, ms", 2),
        "upstream": ("upstream bytes, x size", 2),
        "errors": ("errors", 0),
        "rss": ("peak RSS of a process, MiB", 0),
        "slowdown": ("beside slow readers, x alone", 2),
        "alone": ("alone, s", 3),
        "ready": ("ready, s", 2),
        "plan": ("eviction plan, s", 2),
    }
)


class State(Enum):
    """What became of a bar."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Bar:
    """What our measure must reach: at most or at least `factor` times another's, or absolutely.

    `against` is a peer, or empty where `factor` is the bound itself.
    """

    measure: str
    relation: str  # "<=" or ">="
    factor: float
    against: str = ""

    def __str__(self) -> str:
        head = MEASURES[self.measure][0]
        sign = {"<=": "≤", ">=": "≥"}[self.relation]
        bound = f"{self.factor:g} x {self.against}" if self.against else f"{self.factor:g}"
        return f"{head} {sign} {bound}"

    def holds(self, value: float) -> bool:
        """Whether a ratio (or a value, for an absolute bar) reaches it."""
        # Two equal counts of clock ticks must not differ by how floats are divided.
        room = 1e-9 * self.factor
        if self.relation == "<=":
            return value <= self.factor + room
        return value >= self.factor - room


@dataclass(frozen=True)
class Spread:
    """The median of several rounds, and the least and the most of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Sum up at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Verdict:
    """How a bar came out; `found` is the ratio (or the value), None where nobody knows."""

    bar: Bar
    state: State
    found: Spread | None = None
    why: str = ""


@dataclass
class ImageOutcome:
    """One case as it was run: samples by peer, one per round; who is missing, who failed."""

    name: str
    title: str
    scale: float
    when: str = ""
    samples: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    context: str = ""

    @property
    def headline(self) -> str:
        """The title; says so when the run was a reduced one."""
        reduced = "" if self.scale == 1 else f" (reduced: scale {self.scale:g})"
        return self.title + reduced

    def spread(self, peer: str, measure: str) -> Spread | None:
        """Return the spread of a measure; None where it was never taken."""
        values = [one[measure] for one in self.samples.get(peer, ()) if measure in one]
        return Spread.of(values) if values else None

    def measures(self) -> list[str]:
        """Return what was measured of anybody, in the order of the table."""
        found = {name for rounds in self.samples.values() for one in rounds for name in one}
        return [name for name in MEASURES if name in found]

    def ratio(self, measure: str, against: str) -> Spread | None:
        """Return ours over another's, round by round; None where one side is not known."""
        pairs = zip(self.samples.get(US, ()), self.samples.get(against, ()), strict=False)
        ratios = [
            ours[measure] / theirs[measure]
            for ours, theirs in pairs
            if measure in ours and theirs.get(measure)
        ]
        return Spread.of(ratios) if ratios else None


def judge(outcome: ImageOutcome, bar: Bar) -> Verdict:
    """Hold an outcome against one of its bars."""
    if US in outcome.failures:
        return Verdict(bar, State.MISSED, why=outcome.failures[US])
    found = (
        outcome.ratio(bar.measure, bar.against) if bar.against else outcome.spread(US, bar.measure)
    )
    if found is None:
        why = outcome.missing.get(bar.against) or outcome.failures.get(bar.against)
        return Verdict(bar, State.UNKNOWN, why=why or "not measured")
    return Verdict(bar, State.MET if bar.holds(found.median) else State.MISSED, found)
