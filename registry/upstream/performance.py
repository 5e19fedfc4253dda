"""What is known of how an endpoint delivers, from the requests that it has answered. Pure.

Every value is an exponentially weighted mean: a measurement that took longer counts more, and what
was measured long ago counts little as soon as there is something new. So does what was measured in
the future: the clock was set back, and nobody knows how long ago that was. Of rates it is the
geometric mean, so that a rate that falls to a tenth is noticed as fast as one that grows tenfold.
"""

import math
from dataclasses import dataclass, replace

MEMORY = 4.0  # seconds of transfer after which a new rate counts two thirds
MEMORY_SIZE = 8 * 1024 * 1024  # bytes after which it does so too, for an endpoint that is fast
FORGETTING = 900.0  # seconds after which what is known counts a third beside something new
FIRST_BYTE_WEIGHT = 0.25  # of one new time to the first byte
FAILURE_WEIGHT = 0.25  # of one new success or failure
FAILURE_MEMORY = 120.0  # seconds; a circuit breaker guards against an endpoint that still fails
ENOUGH_RIGHT = 64 * 1024 * 1024  # right bytes after which wrong ones before them are forgiven
FIRST_TRIAL = 3600.0  # seconds until an endpoint that has sent wrong bytes is tried again...
LONGEST_TRIAL = 24 * 3600.0  # ...which double each time that its bytes are wrong, up to these
MOST_DOUBLINGS = 10
LEAST_PATIENCE = 1.0  # seconds; a cold endpoint may have to fetch the content itself
PATIENCE = 3.0  # an answer may take that many times what it usually takes
SUSPECT_TIME = 600.0  # seconds for which an endpoint that may have sent wrong bytes is asked last
LEAST_CHANCE = 0.05  # of a request to succeed, for estimates of endpoints that always fail


@dataclass(frozen=True, slots=True)
class Performance:
    """How one endpoint delivers; the default is an endpoint of which nothing is known.

    `first_byte` is in seconds; `rate` is that of one connection and `total` that of all connections
    of one blob together, in bytes per second; None means that it was never measured. `failing` is
    the part of the requests that failed at `at`, 0 to 1. `wrong` counts how often it sent wrong
    bytes, and `right` the bytes of verified blobs that it has sent since then. `at` is when
    something was last measured, and `rated_at` when a rate was (epoch seconds; 0: never). Until
    `suspected_until`, it is asked last, since it may have sent wrong bytes (epoch seconds).
    """

    first_byte: float | None = None
    rate: float | None = None
    total: float | None = None
    failing: float = 0.0
    right: int = 0
    wrong: int = 0
    at: float = 0.0
    rated_at: float = 0.0
    suspected_until: float = 0.0

    def note_first_byte(self, seconds: float, now: float) -> "Performance":
        """Return what is known after an answer whose first byte came after `seconds`."""
        weight = _age(FIRST_BYTE_WEIGHT, self.at, now)
        return replace(self, first_byte=_mix(self.first_byte, seconds, weight), at=now)

    def note_rate(self, size: int, seconds: float, now: float) -> "Performance":
        """Return what is known after one connection has brought `size` bytes in `seconds`."""
        rate = self._mix_rate(self.rate, size, seconds, now)
        return replace(self, rate=rate, at=now, rated_at=now)

    def note_total(self, size: int, seconds: float, now: float) -> "Performance":
        """Return what is known after all connections together brought `size` bytes."""
        total = self._mix_rate(self.total, size, seconds, now)
        return replace(self, total=total, at=now, rated_at=now)

    def note_answer(self, now: float, *, is_failure: bool) -> "Performance":
        """Return what is known after a request that succeeded or failed."""
        failing = _mix(self.chance_of_failure(now), float(is_failure), FAILURE_WEIGHT)
        return replace(self, failing=failing, at=now)

    def note_right(self, size: int, now: float) -> "Performance":
        """Return what is known after it has sent `size` bytes of a blob with the right digest."""
        return replace(self, right=self.right + size, at=now)

    def note_wrong(self, now: float) -> "Performance":
        """Return what is known after wrong bytes; the right ones before them do not count."""
        return replace(self, wrong=self.wrong + 1, right=0, at=now)

    @property
    def is_distrusted(self) -> bool:
        """Whether it has sent wrong bytes, and too few right ones since then."""
        return self.wrong > 0 and self.right < ENOUGH_RIGHT

    def is_trial_due(self, now: float) -> bool:
        """Whether it has sent wrong bytes, and may show now that it does not any more."""
        wait = FIRST_TRIAL * 2 ** min(MOST_DOUBLINGS, self.wrong - 1)
        return self.is_distrusted and now >= self.suspected_until + min(wait, LONGEST_TRIAL)

    @property
    def patience(self) -> float:
        """How many seconds an answer may take before another endpoint is asked too."""
        return max(LEAST_PATIENCE, PATIENCE * (self.first_byte or 0.0))

    def note_suspect(self, until: float, now: float) -> "Performance":
        """Return what is known after wrong bytes have come that it may have sent."""
        return replace(self, suspected_until=max(self.find_suspicion(now), until), at=now)

    def note_acquitted(self, now: float) -> "Performance":
        """Return what is known after the bytes of which it was suspected were right."""
        return replace(self, suspected_until=0.0, at=now)

    def find_suspicion(self, now: float) -> float:
        """Return by what suspects are ordered, the likeliest last; 0 if it is none.

        Of several that are marked at once, some are marked for a little longer than `SUSPECT_TIME`.
        A mark for much longer is from before the clock was set back, and does not count.
        """
        is_marked = 0 < self.suspected_until - now < 2 * SUSPECT_TIME
        return self.suspected_until if is_marked else 0.0

    def chance_of_failure(self, now: float) -> float:
        """Return which part of the requests is expected to fail now; failures are soon forgotten.

        So the best endpoint is asked again some minutes after an outage.
        """
        return self.failing * math.exp(-abs(now - self.at) / FAILURE_MEMORY)

    def estimate(self, size: int, now: float) -> float | None:
        """Return how many seconds `size` bytes will take; None if too little is known.

        An endpoint that often fails takes longer, since the request is sent again.
        """
        rates = [rate for rate in (self.rate, self.total) if rate]
        if self.first_byte is None or (size and not rates):
            return None
        seconds = self.first_byte + (size / max(rates) if size else 0.0)
        return seconds / max(LEAST_CHANCE, 1.0 - self.chance_of_failure(now))

    def _mix_rate(self, former: float | None, size: int, seconds: float, now: float) -> float:
        weight = 1.0 - math.exp(-seconds / MEMORY - size / MEMORY_SIZE)
        new = max(1, size) / seconds
        if former is None:
            return new
        return math.exp(_mix(math.log(former), math.log(new), _age(weight, self.rated_at, now)))


def _age(weight: float, former: float, now: float) -> float:
    """Return the weight of something new, which is larger if the last measurement is old."""
    age = abs(now - former) if former else 0.0
    return 1.0 - (1.0 - weight) * math.exp(-age / FORGETTING)


def _mix(former: float | None, new: float, weight: float) -> float:
    return new if former is None else former + weight * (new - former)
