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
        "upstream": ("upstream bytes, x size", 3),
        "errors": ("errors", 0),
        "rss": ("peak RSS of a process, MiB", 0),
        "slowdown": ("wall beside others, x alone", 2),
        "alone": ("alone, s", 3),
        "ready": ("ready, s", 2),
        "plan": ("eviction plan, s", 2),
        "served": ("first byte of a served worker, ms after direct", 1),
        "fresh": ("first byte of a fresh worker, ms after direct", 1),
        "idle": ("PSS of all processes, idle, MiB", 1),
        "loaded": ("PSS of all processes, after 16 cold pulls, MiB", 1),
        "share": ("MiB/s, x the sum of the endpoints", 3),
        "part": ("wall, x what the other endpoints need", 3),
        "retry": ("until the retry has the right bytes, s", 2),
        "wrong": ("clients with a whole wrong blob", 0),
        "unnamed": ("places that do not name the liar", 0),
        "learned": ("until the other is preferred, s", 2),
        "blobs": ("blobs until then", 0),
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

    `against` are peers, of which the best one counts: the one with the best median. It is empty
    where `factor` is the bound itself.
    """

    measure: str
    relation: str  # "<=" or ">="
    factor: float
    against: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = MEASURES[self.measure][0]
        sign = {"<=": "≤", ">=": "≥"}[self.relation]
        best = "the best of " if len(self.against) > 1 else ""
        bound = f"{self.factor:g} x {best}{', '.join(self.against)}".removesuffix(" x ")
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
    """How a bar came out; `found` is the ratio (or the value), None where nobody knows.

    `rival` is the peer that the ratio is taken against; `why` says what is missing for a verdict.
    """

    bar: Bar
    state: State
    found: Spread | None = None
    why: str = ""
    rival: str = ""


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
    rival = _find_best(outcome, bar)
    absent = (outcome.missing | outcome.failures).get
    why = "; ".join(each for name in bar.against if name != rival and (each := absent(name)))
    found = outcome.ratio(bar.measure, rival) if bar.against else outcome.spread(US, bar.measure)
    if found is None:
        return Verdict(bar, State.UNKNOWN, why=why or "not measured")
    state = State.MET if bar.holds(found.median) else State.MISSED
    return Verdict(bar, state, found, why, rival)


def _find_best(outcome: ImageOutcome, bar: Bar) -> str:
    """Return which of the bar's peers has the best median; empty where none was measured."""
    spreads = {name: outcome.spread(name, bar.measure) for name in bar.against}
    medians = {name: spread.median for name, spread in spreads.items() if spread is not None}
    choose = min if bar.relation == "<=" else max
    return choose(medians, key=lambda name: medians[name], default="")
