"""Numbers and times as people read them, in their language. Pure."""

import math
import re
from datetime import UTC, datetime

from registry.console.messages import Messages
from registry.settings.values import format_bytes

UNKNOWN = "\N{EN DASH}"  # in the place of a number that is not known
_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))
# Facts of events that are numbers of bytes, and those that are bytes per second.
_SIZES = frozenset({"size", "bytes", "received", "fetched"})
_RATES = frozenset({"rate"})
_SHORT_DIGEST = 12  # hexadecimal digits
_DIGEST = re.compile(r"\b(sha(?:256|512):[0-9a-f]{12})[0-9a-f]{20,}")


class Formats:
    """Formats for one page, whose moment is `now` (epoch seconds)."""

    def __init__(self, messages: Messages, now: float) -> None:
        self._messages = messages
        self._now = now

    def size(self, amount: int | None) -> str:
        """Return bytes: `1.43 GiB`; a dash if they are not known."""
        return UNKNOWN if amount is None else format_bytes(int(amount))

    def rate(self, amount: float | None) -> str:
        """Return bytes per second: `3.2 MiB/s`."""
        return UNKNOWN if amount is None else f"{format_bytes(int(amount))}/s"

    def number(self, amount: int | None) -> str:
        """Return a number with a comma after each three digits."""
        return UNKNOWN if amount is None else f"{amount:,}"

    def percent(self, part: float) -> str:
        """Return a part of 1: `93 %`, and never 100 % of what is not all."""
        shown = math.floor(part * 100) if part < 1 else 100
        return f"{shown}\N{NO-BREAK SPACE}%"

    def duration(self, seconds: float) -> str:
        """Return how long something takes: `3 min`, in the unit that says enough."""
        whole = max(0, round(seconds))
        for length, unit in _UNITS:
            if whole >= length:
                return self._messages(f"time.{unit}", n=whole // length)
        return self._messages("time.seconds", n=0)

    def milliseconds(self, seconds: float | None) -> str:
        """Return a short time: `120 ms`, `1.2 s`."""
        if seconds is None:
            return UNKNOWN
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"

    def age(self, moment: float) -> str:
        """Return how long ago a moment was; 0 means never."""
        if not moment:
            return self._messages("time.never")
        seconds = self._now - moment
        if seconds < 5:
            return self._messages("time.now")
        return self._messages("time.ago", time=self.duration(seconds))

    def moment(self, moment: float) -> str:
        """Return a moment in the time of this machine: `2026-11-30 14:28`."""
        return f"{datetime.fromtimestamp(moment).astimezone():%Y-%m-%d %H:%M}"

    def is_finite(self, moment: float) -> bool:
        """Whether a moment ever comes."""
        return math.isfinite(moment)

    def clock(self, moment: float) -> str:
        """Return a moment of this day as `14:28:07`, and others with their date."""
        local = datetime.fromtimestamp(moment).astimezone()
        today = datetime.fromtimestamp(self._now).astimezone().date()
        return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%m-%d %H:%M}"

    def machine_time(self, moment: float) -> str:
        """Return a moment for programs, in UTC."""
        return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"

    def fact(self, key: str, text: str) -> str:
        """Return a fact of an event: digests are short, and numbers of bytes have a unit."""
        if key in _SIZES and text.isdecimal():
            return self.size(int(text))
        if key in _RATES and text.isdecimal():
            return self.rate(int(text))
        return _DIGEST.sub(lambda found: f"{found[1]}…", text)

    def digest(self, digest: str) -> str:
        """Return the beginning of a digest, without its algorithm."""
        return digest.partition(":")[2][:_SHORT_DIGEST] or digest
