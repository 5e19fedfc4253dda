"""What one process has measured at one endpoint, and what is known of it in all.

Other processes measure the same endpoint. Each gives what it has measured away, and gets what all
together know (`take_new`, `adopt`).
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from httpx import codes

from registry.errors import Unknown, UpstreamDenied, UpstreamError
from registry.upstream.failures import RedirectBroken, RequestRefused
from registry.upstream.outcomes import OK, UNREACHABLE, name_outcome
from registry.upstream.performance import Performance
from registry.upstream.request import Answer, Request

Change = Callable[[Performance], Performance]  # what one measurement changes
MOST_NEW = 1000  # measurements that are kept until they are given away


class Measurements:
    """The measurements at one endpoint; `now` returns epoch seconds.

    `performance` is what is known. The rest is of this process, and for metrics: `received` counts
    the bytes of blobs that came from the endpoint, `failures` the requests that failed, `outcomes`
    all requests by method and outcome, and `counted` the answers that count against a pull limit.
    `silent` is how many requests in a row, to the last one, the endpoint did not answer.
    `waits` has how many seconds the last answers took that were not taken yet, and `succeeded_at`
    is when the last request did not fail (epoch seconds; 0: none yet).
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.performance = Performance()
        self.received = 0
        self.failures = 0
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.counted = 0
        self.silent = 0
        self.waits: deque[float] = deque(maxlen=MOST_NEW)
        self.succeeded_at = 0.0
        self.now = now
        self._new: deque[Change] = deque(maxlen=MOST_NEW)

    @contextmanager
    def watch(self, request: Request) -> Iterator[None]:
        """Note whether a request fails inside the `with` block, unless it is given up there.

        A clear refusal is no failure: of content, of a login, or of a form of the request.
        """
        try:
            yield
        except (Unknown, UpstreamDenied, RequestRefused) as error:
            self._count(request, name_outcome(error))
            self.note_outcome(is_failure=False)
            raise
        except UpstreamError as error:
            self._count(request, name_outcome(error))
            # The URL of an earlier redirect may have expired; then the endpoint is asked again.
            if request.start_at is None or not isinstance(error, RedirectBroken):
                self.note_outcome(is_failure=True)
            raise
        self._count(request, OK)
        self.note_outcome(is_failure=False)

    def _count(self, request: Request, outcome: str) -> None:
        self.outcomes[request.method, outcome] += 1
        self.silent = self.silent + 1 if outcome == UNREACHABLE else 0

    def note_answer(self, request: Request, answer: Answer) -> None:
        """Note how long the head of an answer took, if the endpoint did some work for it."""
        status = answer.response.status_code
        self.counted += request.counts and codes.is_success(status)
        if request.start_at is None and status < 500 and status != codes.TOO_MANY_REQUESTS:
            self.waits.append(answer.waited)
            self.note_first_byte(answer.waited)

    def note_first_byte(self, seconds: float) -> None:
        """Note that the first byte of an answer came after `seconds`."""
        self._apply(partial(Performance.note_first_byte, seconds=seconds, now=self.now()))

    def note_rate(self, size: int, seconds: float) -> None:
        """Note that one connection has brought `size` bytes in `seconds`."""
        self._apply(partial(Performance.note_rate, size=size, seconds=seconds, now=self.now()))

    def note_total(self, size: int, seconds: float) -> None:
        """Note that all connections of one blob together have brought `size` bytes in `seconds`."""
        self._apply(partial(Performance.note_total, size=size, seconds=seconds, now=self.now()))

    def note_outcome(self, *, is_failure: bool) -> None:
        """Note that a request has failed, or was answered."""
        self.failures += is_failure
        if not is_failure:
            self.succeeded_at = self.now()
        self._apply(partial(Performance.note_answer, now=self.now(), is_failure=is_failure))

    def note_right(self, size: int) -> None:
        """Note that `size` bytes of a verified blob came from the endpoint."""
        self._apply(partial(Performance.note_right, size=size, now=self.now()))

    def note_wrong(self) -> None:
        """Note that the endpoint has sent wrong bytes."""
        self._apply(partial(Performance.note_wrong, now=self.now()))

    def note_suspect(self, until: float) -> None:
        """Note that the endpoint may have sent wrong bytes; see `Performance`."""
        self._apply(partial(Performance.note_suspect, until=until, now=self.now()))

    def note_acquitted(self) -> None:
        """Note that the bytes of which the endpoint was suspected were right."""
        self._apply(partial(Performance.note_acquitted, now=self.now()))

    def estimate(self, size: int) -> float | None:
        """Return how many seconds `size` bytes will take now; None if too little is known."""
        return self.performance.estimate(size, self.now())

    @property
    def has_new(self) -> bool:
        """Whether something was measured that was not taken yet."""
        return bool(self._new)

    def take_new(self) -> list[Change]:
        """Return the measurements that were not taken yet, in order."""
        taken = list(self._new)
        self._new.clear()
        return taken

    def put_back(self, taken: Iterable[Change]) -> None:
        """Keep measurements that could not be given away; if there are too many, the newest."""
        self._new = deque((*taken, *self._new), maxlen=MOST_NEW)

    def adopt(self, common: Performance) -> None:
        """Use what all processes together know, and add what was measured here since then."""
        for change in self._new:
            common = change(common)
        self.performance = common

    def _apply(self, change: Change) -> None:
        self.performance = change(self.performance)
        self._new.append(change)
