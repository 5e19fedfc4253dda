"""In which order the endpoints of an upstream are asked: by what they deliver, or as written.

Learning begins with the order of the settings, and an endpoint of which too little is known keeps
its place in it. Exploring costs no request: a blob that is needed anyway is first asked of the
endpoint that is known least (decision record 0031).
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from registry.logs import get_logger
from registry.upstream.client import CONNECT, SHORT_CONNECT
from registry.upstream.endpoint import Endpoint

T = TypeVar("T")
BETTER = 0.8  # times the estimate of another endpoint; one that is better than that comes before it
LEAST_GAIN = 0.02  # seconds that it also has to be faster: a client notices nothing below that
LARGE = 1024 * 1024  # bytes; the order for less is another one, since the first byte decides there
USUAL = 16 * 1024 * 1024  # bytes of a blob whose size is not known
EXPLORING = 8  # one blob of so many explores, if a measurement is old
OLD = 600.0  # seconds after which an endpoint is explored again
WORSE = 2.0  # times what the best endpoint took for the usual blob when another was measured...
LEAST_LOSS = 0.5  # ...and so many seconds more: then the other one is explored at once


def rank(
    written: Sequence[T], former: Sequence[T], estimate: Callable[[T], float | None]
) -> list[T]:
    """Return the endpoints in the order in which they are asked, best first.

    `written` is the order of the settings, and `former` the last result, which stays unless an
    endpoint is clearly better, so that the order does not flap. `estimate` returns how many seconds
    an endpoint takes. If it returns None, the endpoint keeps its place in the settings.
    """
    ranked: list[tuple[T, float]] = []
    for each in former:
        seconds = estimate(each)
        if seconds is not None:
            limit = (place for place, (_, other) in enumerate(ranked) if _beats(seconds, other))
            ranked.insert(next(limit, len(ranked)), (each, seconds))
    known = [each for each, _ in ranked]
    better = iter(known)
    return [next(better) if each in known else each for each in written]


def _beats(seconds: float, other: float) -> bool:
    return seconds < BETTER * other and seconds < other - LEAST_GAIN


class Ranking:
    """The order of the endpoints of the upstream `name`; `now` returns epoch seconds.

    If `is_measured` is false, the endpoints are asked as they are written, and nothing is explored.
    """

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        *,
        is_measured: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._written = tuple(endpoints)
        self._is_measured = is_measured and len(self._written) > 1
        self._now = now
        self._small, self._large = list(self._written), list(self._written)
        self._blobs = 0
        self._tried: dict[Endpoint, float] = {}  # when it was explored
        # What the best endpoint took for the usual blob when each other one was measured: then,
        # and how long. If the best one becomes slower, the others may have become faster.
        self._compared: dict[Endpoint, tuple[float, float]] = {}
        self._log = get_logger("registry.upstream").bind(upstream=name)
        self._shorten_connects()

    def order(self, size: int) -> list[Endpoint]:
        """Return all endpoints, best first for `size` bytes (0: a small answer).

        Those that have sent wrong bytes are last, however fast they are.
        """
        if not self._is_measured:
            return list(self._written)
        is_large = size >= LARGE
        former = self._large if is_large else self._small
        counted = size if is_large else 0
        ranked = rank(self._written, former, lambda each: each.measured.estimate(counted))
        ranked.sort(key=lambda each: each.measured.performance.is_distrusted)
        if not is_large:
            self._small = ranked
        elif ranked != former:
            self._large = ranked
            self._shorten_connects()
            origins = [each.origin for each in ranked]
            self._log.info("endpoints ranked anew", endpoints=origins)
        return list(ranked)

    def choose_explored(self, able: Collection[Endpoint], size: int) -> Endpoint | None:
        """Return the endpoint that a blob of `size` bytes asks first, to learn how it delivers.

        None: nothing is to be learned. Only endpoints in `able` are returned. The blob goes to the
        endpoint whose measurement is oldest: if it is older than ten minutes, one blob of eight
        does; and if the best endpoint has become much slower since then, the next one does.
        """
        if not self._is_measured or size < LARGE:
            return None
        best, *others = self.order(USUAL)
        self._blobs += 1
        seconds = best.measured.estimate(USUAL)
        due = [each for each in others if self._has_changed(each, seconds) and each in able]
        if not due and self._blobs % EXPLORING == 0:
            due = [each for each in others if self._find_age(each) > OLD and each in able]
        chosen = max(due, key=self._find_age, default=None)
        if chosen is not None:
            self._tried[chosen] = self._now()
            self._compared.pop(chosen, None)
        return chosen

    def _find_age(self, endpoint: Endpoint) -> float:
        """Return how many seconds ago a rate of the endpoint was measured, or should have been.

        What lies far in the future is as old: the clock was set back.
        """
        moments = endpoint.measured.performance.rated_at, self._tried.get(endpoint, 0.0)
        return min(abs(self._now() - moment) for moment in moments)

    def _has_changed(self, other: Endpoint, seconds: float | None) -> bool:
        """Whether the best endpoint has become much slower since `other` was measured, or explored.

        `seconds` is what the best one takes now for the usual blob.
        """
        if seconds is None:
            return False
        rated_at = other.measured.performance.rated_at
        measured_at, former = self._compared.get(other, (rated_at, seconds))
        if measured_at != rated_at:
            former = seconds
        self._compared[other] = rated_at, min(seconds, former)
        return seconds > WORSE * former and seconds > former + LEAST_LOSS

    def _shorten_connects(self) -> None:
        """Let only the endpoint that is asked last have a long time for its connection."""
        for each in self._large:
            each.connect = SHORT_CONNECT
        self._large[-1].connect = CONNECT
