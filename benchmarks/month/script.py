"""The script of a month: which endpoints there are, how they behave, and who pulls what when. Pure.

The same seed gives the same month. All times are hours since its begin, which is a midnight.
"""

import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

KIB, MIB = 1024, 1024 * 1024
DAYS = 30
PULLS_A_DAY = 70
IMAGES = 50  # are pulled in turn
NOISE = 0.25  # of the rate from one hour to the next, as the sigma of its logarithm
BUSY = (1, 1, 1, 1, 1, 1, 2, 4, 8, 10, 10, 9, 7, 9, 10, 10, 9, 8, 5, 4, 3, 3, 2, 1)  # pulls an hour
EVEN = (1.0,) * 24
NIGHT = (*(1.0,) * 7, 0.4, *(0.06,) * 14, 0.2, 0.6)
EVENING = (*(1.0,) * 17, 0.6, *(0.15,) * 5, 0.4)


class Fault(Enum):
    """What is wrong with an endpoint for a time."""

    REFUSED = "refuses connections"
    SILENT = "does not answer"
    THROTTLED = "answers 429"
    BROKEN = "answers 503"
    LYING = "sends wrong bytes"


@dataclass(frozen=True)
class Period:
    """A fault from `start` to `stop` (hours)."""

    start: float
    stop: float
    fault: Fault


@dataclass(frozen=True)
class EndpointScript:
    """One endpoint: `rate` for all connections and `connection_rate` for each, in bytes/s.

    `delay` is the time to the first byte in seconds. `hours` is which part of the rate is left in
    each hour of the day, and `slowed` from which hour of the month on only `left` of it remains.
    `cuts` is how many connections break for each MiB, and `stalls` for each request.
    """

    name: str
    about: str
    rate: float
    connection_rate: float = 1e12
    delay: float = 0.1
    hours: Sequence[float] = EVEN
    slowed: float = float("inf")
    left: float = 1.0
    cuts: float = 0.0
    stalls: float = 0.0
    periods: Sequence[Period] = ()
    noise: Sequence[float] = field(default=(1.0,), repr=False)

    def find_rate(self, hour: float) -> float:
        """Return the rate at an hour of the month, in bytes/s."""
        slowed = self.left if hour >= self.slowed else 1.0
        noise = self.noise[int(hour) % len(self.noise)]
        return self.rate * self.hours[int(hour) % 24] * slowed * noise

    def find_fault(self, hour: float) -> Fault | None:
        """Return what is wrong at an hour of the month."""
        place = bisect(self._starts, hour) - 1
        is_now = place >= 0 and hour < self._sorted[place].stop
        return self._sorted[place].fault if is_now else None

    @cached_property
    def _sorted(self) -> list[Period]:
        return sorted(self.periods, key=lambda period: period.start)

    @cached_property
    def _starts(self) -> list[float]:
        return [period.start for period in self._sorted]


@dataclass(frozen=True)
class Image:
    """An image: the sizes of its layers in bytes."""

    layers: Sequence[int]

    @property
    def size(self) -> int:
        """The bytes of all layers."""
        return sum(self.layers)


@dataclass(frozen=True)
class Month:
    """The endpoints in the order in which a person would write them, and the pulls in order.

    `pulls` are pairs of an hour and the number of an image.
    """

    seed: int
    days: float
    endpoints: Sequence[EndpointScript]
    images: Sequence[Image]
    pulls: Sequence[tuple[float, int]]


def write_month(seed: int, days: float = DAYS, pulls_a_day: int = PULLS_A_DAY) -> Month:
    """Write the month of a seed; with fewer days everything happens in that time."""
    chance = random.Random(seed)  # noqa: S311 - it has to be the same again
    images = [_draw_image(chance) for _ in range(IMAGES)]
    endpoints = _Cast(chance, 24.0 * days).list_all()
    pulls = sorted(
        24.0 * int(chance.random() * days) + _draw_hour(chance)
        for _ in range(int(days * pulls_a_day))
    )
    return Month(
        seed,
        days,
        _order_as_a_person(endpoints, 12.0 * days / DAYS),
        images,
        [(hour, number % IMAGES) for number, hour in enumerate(pulls)],
    )


def _draw_hour(chance: random.Random) -> float:
    return chance.choices(range(24), BUSY)[0] + chance.random()


def _draw_image(chance: random.Random) -> Image:
    layers = [chance.lognormvariate(0.0, 1.1) * MIB for _ in range(chance.randint(2, 3))]
    return Image([4 * KIB, *(min(24 * MIB, max(8 * KIB, int(size))) for size in layers)])


def _order_as_a_person(endpoints: Sequence[EndpointScript], noon: float) -> list[EndpointScript]:
    """Return them as somebody writes them who tries each at the first noon, the registry last."""

    def judge(endpoint: EndpointScript) -> tuple[bool, float]:
        is_registry = endpoint is endpoints[-1]
        rate = 0.0 if endpoint.find_fault(noon) else endpoint.find_rate(noon)
        return is_registry, -rate

    return sorted(endpoints, key=judge)


class _Cast:
    """Draws the endpoints of a month of so many hours."""

    def __init__(self, chance: random.Random, hours: float) -> None:
        self._chance = chance
        self._hours = hours

    def list_all(self) -> list[EndpointScript]:
        """Return the accelerators, and the registry at the end."""
        return [
            self._old(),
            self._night(),
            self._limiting(),
            self._lying(),
            self._new(),
            self._breaking(),
            self._registry(),
        ]

    def _between(self, least: float, most: float) -> float:
        return self._chance.uniform(least, most)

    def _noise(self) -> list[float]:
        return [self._chance.lognormvariate(0, NOISE) for _ in range(int(self._hours) + 24)]

    def _at(self, least: float, most: float) -> float:
        """Return an hour between two parts of the month."""
        return self._hours * self._between(least, most)

    def _periods(self, count: int, longest: float, *faults: Fault) -> list[Period]:
        """Return so many periods of up to `longest` hours, at any time."""
        scale = self._hours / (24.0 * DAYS)
        periods = []
        for number in range(count):
            start = self._at(number / count, (number + 0.5) / count)
            length = self._between(0.2, 1.0) * min(longest * scale, self._hours / count / 2)
            periods.append(Period(start, start + length, self._chance.choice(faults)))
        return periods

    def _old(self) -> EndpointScript:
        return EndpointScript(
            "old",
            "the best on day 1, becomes slow, dies",
            self._between(5, 7) * MIB,
            2 * MIB,
            slowed=self._at(0.3, 0.45),
            left=0.05,
            periods=[Period(self._at(0.65, 0.8), self._hours + 24, Fault.SILENT)],
            noise=self._noise(),
        )

    def _night(self) -> EndpointScript:
        rate = self._between(7, 10) * MIB
        periods = self._periods(4, 6, Fault.BROKEN, Fault.REFUSED)
        return EndpointScript(
            "night", "fast at night", rate, hours=NIGHT, periods=periods, noise=self._noise()
        )

    def _limiting(self) -> EndpointScript:
        return EndpointScript(
            "limiting",
            "limits each connection, answers 429 at times",
            self._between(2.5, 4) * MIB,
            self._between(0.3, 0.5) * MIB,
            0.25,
            periods=self._periods(40, 4, Fault.THROTTLED),
            noise=self._noise(),
        )

    def _lying(self) -> EndpointScript:
        came = self._at(0.06, 0.12)
        lies = [self._at(*span) for span in ((0.2, 0.3), (0.5, 0.6), (0.8, 0.9))]
        return EndpointScript(
            "lying",
            "comes in week 1, sends wrong bytes at times",
            self._between(4, 6) * MIB,
            periods=[
                Period(0, came, Fault.REFUSED),
                *(Period(at, at + 0.08 * self._hours, Fault.LYING) for at in lies),
            ],
            noise=self._noise(),
        )

    def _new(self) -> EndpointScript:
        return EndpointScript(
            "new",
            "comes in the middle, slow in the evening",
            self._between(7, 9) * MIB,
            hours=EVENING,
            delay=0.15,
            periods=[Period(0, self._at(0.5, 0.6), Fault.SILENT)],
            noise=self._noise(),
        )

    def _breaking(self) -> EndpointScript:
        return EndpointScript(
            "breaking",
            "cuts and stalls, is down now and then",
            self._between(1.5, 2.5) * MIB,
            delay=0.2,
            cuts=1 / 12,
            stalls=0.02,
            periods=self._periods(60, 1, Fault.REFUSED, Fault.BROKEN, Fault.SILENT),
            noise=self._noise(),
        )

    def _registry(self) -> EndpointScript:
        return EndpointScript(
            "registry",
            "the registry itself: slow, blocked at times",
            self._between(150, 300) * KIB,
            delay=0.5,
            cuts=1 / 40,
            periods=self._periods(8, 12, Fault.SILENT),
            noise=self._noise(),
        )
