"""How many bytes a second may be downloaded, by the time of the day. Pure."""

import math
import re
import time
from dataclasses import dataclass

from registry.settings.values import Refusal, format_size, parse_size, quote

LEAST = 1024  # bytes a second; less than that has a unit that was forgotten
DAY = 24 * 60  # minutes
UNLIMITED = "unlimited"

_CURE = 'write "20MiB" (a second), "unlimited", or by the hour "08:00-19:00=20MiB, *=unlimited"'
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


def find_minute(now: float) -> int:
    """Return the minute of the day at `now` (epoch seconds), in local time."""
    local = time.localtime(now)
    return local.tm_hour * 60 + local.tm_min


@dataclass(frozen=True, slots=True)
class HourlyRate:
    """A rate in bytes a second from the minute `start` of a day to before `stop`.

    If `stop` is less than `start`, the time is over midnight.
    """

    start: int
    stop: int
    rate: float

    def includes(self, minute: int) -> bool:
        """Whether a minute of the day is within the time."""
        if self.start < self.stop:
            return self.start <= minute < self.stop
        return minute >= self.start or minute < self.stop

    def __str__(self) -> str:
        return f"{_format_minute(self.start)}-{_format_minute(self.stop)}={_format(self.rate)}"


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """Rates in bytes a second (infinity: unlimited): those of some hours, and `otherwise`."""

    hours: tuple[HourlyRate, ...] = ()
    otherwise: float = math.inf

    def find_rate(self, minute: int) -> float:
        """Return the rate at a minute of the day, from 0 to 1439; the first that fits counts."""
        fitting = (each.rate for each in self.hours if each.includes(minute))
        return next(fitting, self.otherwise)

    @property
    def is_limited(self) -> bool:
        """Whether there is a rate at some time of the day."""
        return any(
            math.isfinite(rate) for rate in (self.otherwise, *(each.rate for each in self.hours))
        )

    def describe(self, minute: int) -> str:
        """Return the rate at a minute of the day, with the hours of all rates if there are some."""
        now = _format(self.find_rate(minute))
        now = now if now == UNLIMITED else f"{now} a second"
        return f"{now} now ({self}, local time)" if self.hours else now

    def __str__(self) -> str:
        if not self.hours:
            return _format(self.otherwise)
        return ", ".join([*map(str, self.hours), f"*={_format(self.otherwise)}"])


def parse_rate(value: object) -> RateSchedule:
    """Return the rates of `20MiB`, of `unlimited`, or of `08:00-19:00=20MiB, *=unlimited`.

    `*` is for all other times; without it, they are unlimited.

    Raises:
        Refusal: the value has another form, or a rate is less than 1 KiB a second.
    """
    if isinstance(value, RateSchedule):
        return value
    if not isinstance(value, str) or "=" not in value:
        return RateSchedule(otherwise=_parse_one(value))
    hours: list[HourlyRate] = []
    otherwise: list[float] = []
    for part in value.split(","):
        when, equals, rate = part.partition("=")
        if not equals:
            raise Refusal(f"{quote(part.strip())} has no rate", _CURE)
        if when.strip() == "*":
            otherwise.append(_parse_one(rate))
        else:
            hours.append(HourlyRate(*_parse_hours(when), _parse_one(rate)))
    if len(otherwise) > 1:
        raise Refusal('"*" is written twice', "keep one of them")
    return RateSchedule(tuple(hours), *otherwise)


def _parse_one(value: object) -> float:
    text = value.strip().removesuffix("/s") if isinstance(value, str) else value
    if text == UNLIMITED:
        return math.inf
    try:
        rate = parse_size(text)
    except Refusal:
        raise Refusal(f"{quote(text)} is not a rate", _CURE) from None
    if rate < LEAST:
        raise Refusal(f"{quote(text)} is less than 1 KiB a second", f"with a unit, {_CURE}")
    return float(rate)


def _parse_hours(text: str) -> tuple[int, int]:
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise Refusal(f"{quote(text.strip())} is not a time of the day", _CURE)
    start, stop = _parse_minute(found[1], found[2]), _parse_minute(found[3], found[4])
    if start % DAY == stop % DAY:
        raise Refusal(f"{quote(text.strip())} has no length", 'for the whole day write "*"')
    return start % DAY, stop


def _parse_minute(hour: str, minute: str) -> int:
    at = int(hour) * 60 + int(minute)
    if int(minute) > 59 or at > DAY:
        raise Refusal(f"'{hour}:{minute}' is not a time of the day", _CURE)
    return at


def _format(rate: float) -> str:
    return UNLIMITED if math.isinf(rate) else format_size(int(rate))


def _format_minute(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
