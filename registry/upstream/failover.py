"""The endpoints of one upstream: the order in which they are asked, and when to stop."""

import asyncio
import math
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

from registry.errors import (
    PullsReserved,
    Unknown,
    UpstreamError,
    UpstreamUnreachable,
)
from registry.logs import get_logger
from registry.upstream.backoff import RetryBudget
from registry.upstream.combined_failures import (
    combine,
    is_denied,
    is_inconclusive,
    is_temporary,
    list_reasons,
    select_clear,
)
from registry.upstream.contract import Fallback
from registry.upstream.endpoint import Endpoint
from registry.upstream.failures import (
    EndpointSuspended,
    HeadRefused,
    NoConnection,
    RangeRefused,
)
from registry.upstream.race import CONNECT_WAIT, Question, Race
from registry.upstream.ranking import Ranking
from registry.upstream.suspects import Suspects

T = TypeVar("T")
ASK_BUDGET = 25.0  # seconds for one question; containerd waits 30 seconds for the headers
ROUNDS = 3  # over all endpoints
FALLBACK_ROUNDS = 2  # for a question whose answer something else can replace
FIRST_UNREACHED_TIME = 2.0  # seconds for which an endpoint without a connection is asked last
LONGEST_UNREACHED_TIME = 30.0  # seconds; the time doubles with every further failure


class EndpointPool:
    """The endpoints of the upstream `name`, in the order of the settings; `clock` is in seconds.

    If `is_measured` is false, they are asked in this order, whatever they deliver. `suspects` knows
    who may send wrong bytes; `needs_proof` and `trusted` are for it. `now` returns epoch seconds,
    as measurements are also kept after a restart.
    """

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        clock: Callable[[], float],
        chance: random.Random,
        *,
        is_measured: bool = True,
        needs_proof: bool = False,
        trusted: Collection[Endpoint] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.name = name
        self.endpoints = tuple(endpoints)
        self._chance = chance
        self._log = get_logger("registry.upstream")
        self._unreached: dict[Endpoint, _Unreached] = {}
        self.suspects = Suspects(name, self.endpoints, needs_proof=needs_proof, trusted=trusted)
        self._ranking = Ranking(name, self.endpoints, is_measured=is_measured, now=now)

    def _is_reached(self, endpoint: Endpoint) -> bool:
        return self.clock() >= self._unreached.get(endpoint, _REACHED).until

    def start_retries(self, budget: float) -> RetryBudget:
        """Return a retry budget of `budget` seconds from now on."""
        return RetryBudget(self.clock() + budget, self._chance)

    def candidates(
        self,
        *,
        counts: bool = False,
        is_optional: bool = False,
        without: Collection[Endpoint] = (),
        last: Collection[Endpoint] = (),
        repository: str = "",
        size: int = 0,
    ) -> list[Endpoint]:
        """Return the endpoints to ask now, best first; then those without a connection; suspects.

        `size` is how many bytes are wanted (0: a small answer). Those in `last` come after the
        others that are as able. Endpoints in `without` are left out, and also endpoints whose
        circuit breaker is open. If all breakers are open, all are returned: a request then probes
        them, or fails at once. With `is_optional`, endpoints without a connection are left out too,
        if there are others.
        """
        if len(self.endpoints) == 1:  # there is nothing to choose from
            return [each for each in self.endpoints if each not in without]
        now = self.clock()
        able = [each for each in self._ranking.order(size) if each not in without]
        ready = [
            each
            for each in able
            if not each.health.is_suspended(now, counts=counts, repository=repository)
        ] or able
        reached = [each for each in ready if self._is_reached(each)]
        chosen = reached if is_optional and reached else ready
        return sorted(
            chosen,
            key=lambda each: (self.suspects.rank(each), each not in reached, each in last),
        )

    def choose_explored(self, repository: str, size: int) -> Endpoint | None:
        """Return the endpoint that a blob of `size` bytes asks first, to learn how it delivers.

        None: nothing is to be learned, or the endpoint should not be asked now.
        """
        now = self.clock()
        able = [
            each
            for each in self.endpoints
            if self._is_reached(each)
            and not self.suspects.is_suspect(each)
            and not each.health.is_suspended(now, counts=False, repository=repository)
        ]
        return self._ranking.choose_explored(able, size)

    def choose_tried(self, repository: str) -> Endpoint | None:
        """Return a suspect that may show now that it sends right bytes; None if there is none."""
        if len(self.endpoints) == 1:  # it is asked anyway
            return None
        now = self.clock()
        able = (
            each
            for each in self.suspects.list_due()
            if self._is_reached(each)
            and not each.health.is_suspended(now, counts=False, repository=repository)
        )
        return next(able, None)

    def log_failure(self, endpoint: Endpoint, error: Unknown | UpstreamError) -> None:
        """Log a failure of an endpoint, which is not visible if another endpoint answers."""
        is_handled = isinstance(
            error, EndpointSuspended | HeadRefused | RangeRefused | PullsReserved
        )
        if is_inconclusive(error) and not is_handled:
            self._log.warning(
                "endpoint failed", upstream=self.name, endpoint=endpoint.origin, why=str(error)
            )

    async def ask(
        self,
        question: Question[T],
        *,
        counts: bool = False,
        fallback: Fallback = Fallback.NONE,
        is_optional: bool = False,
        is_hedged: bool = False,
        without: Collection[Endpoint] = (),
        last: Collection[Endpoint] = (),
        repository: str = "",
    ) -> T:
        """Put one question about `repository` to one endpoint after the other until one answers.

        With a `fallback` it gives up earlier, and waits for no `Retry-After`. For most images,
        content that `is_optional` does not exist, so that a clear "no" is enough. `is_hedged` is as
        for `Race`. Endpoints in `without` are not asked, those in `last` after the others.

        Raises:
            Unknown: all endpoints say that they do not have the content; with `is_optional`, one
                of them says so, and no other has it.
            UpstreamError: there was no clear answer within three rounds or 25 s.
        """
        answers: dict[Endpoint, Unknown | UpstreamError] = {}  # the last one of each endpoint
        choose = partial(self.candidates, counts=counts, is_optional=is_optional, last=last)
        retries = self.start_retries(ASK_BUDGET)
        try:
            async with asyncio.timeout(ASK_BUDGET):
                for is_last_round in _plan_rounds(fallback):
                    endpoints = choose(without=without, repository=repository)
                    race = Race(question, endpoints, is_optional=is_optional, is_hedged=is_hedged)
                    answer = await race.run()
                    self._learn(race)
                    if race.winner is not None:
                        return cast("T", answer)
                    answers |= race.failures
                    failures = list(race.failures.values())
                    decisive = select_clear(failures) if is_optional else failures
                    failure = combine(decisive, self._complete(answers, without))
                    retry_after = failure.retry_after if is_temporary(failure) else None
                    wait = retries.next_wait(self.clock(), retry_after)
                    if retry_after and fallback is not Fallback.NONE:
                        raise failure
                    is_over = is_last_round or not is_temporary(failure) or is_denied(failures)
                    if is_over or wait is None:
                        raise failure
                    await asyncio.sleep(wait)
        except TimeoutError as error:
            raise self._describe_wait(answers) from error
        raise AssertionError("the last round returns or raises")

    def _describe_wait(
        self, answers: Mapping[Endpoint, Unknown | UpstreamError]
    ) -> UpstreamUnreachable:
        """Return the error about a question without an answer, and with these failures."""
        whose = "no other endpoint" if answers else "no endpoint"
        late = UpstreamUnreachable(self.name, f"{whose} answered within {ASK_BUDGET:.0f} s")
        late.add_answers(list_reasons(answers.values()))
        return late

    def _complete(
        self, answers: Mapping[Endpoint, Unknown | UpstreamError], without: Collection[Endpoint]
    ) -> list[Unknown | UpstreamError]:
        """Return the answers of the endpoints that are not in `without`, in the settings' order.

        An endpoint that was left out has none, unless its circuit breaker is the reason.
        """
        asked = (each for each in self.endpoints if each not in without)
        found = (answers.get(each) or each.health.find_suspension() for each in asked)
        return [each for each in found if each is not None]

    def _learn(self, race: Race[T]) -> None:
        """Note which endpoints have no connection, and log the failures."""
        if race.winner is not None:
            self.note_reached(race.winner)
        for endpoint in race.overtaken:
            self.note_overtaken(endpoint, f"no connection within {CONNECT_WAIT} s")
        for endpoint, seconds in race.silent.items():
            self.note_overtaken(endpoint, f"no answer within {seconds:.1f} s")
            endpoint.measured.note_first_byte(seconds)
        for endpoint, error in race.failures.items():
            self.log_failure(endpoint, error)
            if isinstance(error, NoConnection):
                self._note_unreached(endpoint)

    def note_reached(self, endpoint: Endpoint) -> None:
        """Note that an endpoint answers."""
        if self._unreached.pop(endpoint, None) is not None:
            origin = endpoint.origin
            self._log.info("endpoint reached again", upstream=self.name, endpoint=origin)

    def note_overtaken(self, endpoint: Endpoint, why: str) -> None:
        """Let an endpoint that did not answer be asked last for some time, as another one did."""
        if self._note_unreached(endpoint):
            why = f"{why}; another endpoint has answered"
            self.log_failure(endpoint, NoConnection(endpoint.origin, why))

    def _note_unreached(self, endpoint: Endpoint) -> bool:
        """Note that there is no connection; return false if another request has just noted it."""
        now, former = self.clock(), self._unreached.get(endpoint, _REACHED)
        if now < former.until:
            return False
        seconds = min(2 * former.seconds, LONGEST_UNREACHED_TIME) or FIRST_UNREACHED_TIME
        self._unreached[endpoint] = _Unreached(now + seconds, seconds)
        return True


@dataclass(frozen=True, slots=True)
class _Unreached:
    """Until when an endpoint counts as without a connection, and for how many seconds."""

    until: float
    seconds: float


_REACHED = _Unreached(-math.inf, 0.0)


def _plan_rounds(fallback: Fallback) -> tuple[bool, ...]:
    """Return for each round over all endpoints whether it is the last one."""
    rounds = ROUNDS if fallback is Fallback.NONE else FALLBACK_ROUNDS
    return (False,) * (rounds - 1) + (True,)
