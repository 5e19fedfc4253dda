"""The endpoints of one upstream: the order in which they are asked, and when to stop."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeGuard, TypeVar

import structlog

from registry.errors import (
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamUnreachable,
)
from registry.upstream.backoff import LONGEST_WAIT, RetryBudget
from registry.upstream.client import SHORT_CONNECT
from registry.upstream.endpoint import Endpoint
from registry.upstream.failures import EndpointSuspended

T = TypeVar("T")
ASK_BUDGET = 25.0  # seconds for one question; containerd waits 30 seconds for the headers
ROUNDS = 3  # over all endpoints
FALLBACK_ROUNDS = 2  # for a question whose answer something else can replace
SUSPECT_TIME = 600.0  # seconds for which an endpoint that sent wrong bytes is asked last


class EndpointPool:
    """The endpoints of the upstream `name`, in the order of the settings; `clock` is in seconds."""

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        clock: Callable[[], float],
        chance: random.Random,
    ) -> None:
        self.clock = clock
        self._name = name
        self._endpoints = tuple(endpoints)
        self._chance = chance
        self._log = structlog.get_logger("registry.upstream")
        # Until when each endpoint is suspect. The endpoint that was marked last is asked last. So
        # if all endpoints are suspect, another one is asked before the endpoint that sends wrong
        # bytes.
        self._suspects: dict[Endpoint, float] = {}
        for endpoint in self._endpoints[:-1]:
            endpoint.connect = SHORT_CONNECT

    def start_retries(self, budget: float) -> RetryBudget:
        """Return a retry budget of `budget` seconds from now on."""
        return RetryBudget(self.clock() + budget, self._chance)

    def candidates(
        self, *, counts: bool = False, without: Collection[Endpoint] = ()
    ) -> list[Endpoint]:
        """Return the endpoints to ask now, best first, suspects last.

        Endpoints in `without` are left out, and also endpoints whose circuit breaker is open. If
        all breakers are open, all are returned: a request then probes them, or fails at once.
        """
        now = self.clock()
        able = [each for each in self._endpoints if each not in without]
        ready = [each for each in able if not each.health.is_suspended(now, counts=counts)]
        suspects = [endpoint for endpoint, until in self._suspects.items() if now < until]
        places = {endpoint: place for place, endpoint in enumerate(suspects, 1)}
        return sorted(ready or able, key=lambda each: places.get(each, 0))

    def mark_suspect(self, origins: Sequence[str]) -> None:
        """Mark endpoints as suspect because they sent wrong bytes; the likeliest origin is last."""
        until = self.clock() + SUSPECT_TIME
        for origin in origins:
            for endpoint in self._endpoints:
                if endpoint.origin == origin:
                    self._suspects.pop(endpoint, None)
                    self._suspects[endpoint] = until

    def log_failure(self, endpoint: Endpoint, error: Unknown | UpstreamError) -> None:
        """Log a failure of an endpoint, which is not visible if another endpoint answers."""
        if _is_inconclusive(error) and not isinstance(error, EndpointSuspended):
            self._log.warning(
                "endpoint failed", upstream=self._name, endpoint=endpoint.origin, why=str(error)
            )

    async def ask(
        self,
        question: Callable[[Endpoint], Awaitable[T]],
        *,
        counts: bool = False,
        has_fallback: bool = False,
    ) -> T:
        """Put one question to one endpoint after the other until one answers it.

        `has_fallback` says that the mirror can serve something else: then it gives up earlier.

        Raises:
            Unknown: all endpoints say that they do not have the content.
            UpstreamError: there was no clear answer within three rounds or 25 s.
        """
        rounds = FALLBACK_ROUNDS if has_fallback else ROUNDS
        retries = self.start_retries(ASK_BUDGET)
        try:
            async with asyncio.timeout(ASK_BUDGET):
                for is_last_round in (False,) * (rounds - 1) + (True,):
                    failures: list[Unknown | UpstreamError] = []
                    for endpoint in self.candidates(counts=counts):
                        try:
                            return await question(endpoint)
                        except (Unknown, UpstreamError) as error:
                            failures.append(error)
                            self.log_failure(endpoint, error)
                    failure = combine(failures)
                    retry_after = failure.retry_after if is_temporary(failure) else None
                    wait = retries.next_wait(self.clock(), retry_after)
                    if is_last_round or wait is None or not is_temporary(failure):
                        raise failure
                    await asyncio.sleep(wait)
        except TimeoutError as error:
            raise UpstreamUnreachable(
                self._name, f"no endpoint answered within {ASK_BUDGET:.0f} s"
            ) from error
        raise AssertionError("the last round returns or raises")


def combine(failures: Sequence[Unknown | UpstreamError]) -> Unknown | UpstreamError:
    """Return one failure to raise for several; its message names all inconclusive failures.

    The result is `Unknown` only if no failure is inconclusive.
    """
    inconclusive = [each for each in failures if _is_inconclusive(each)]
    failure = (inconclusive or failures)[-1]
    if isinstance(failure, UpstreamError):
        failure.add_failures(inconclusive)
    return failure


def _is_inconclusive(failure: Unknown | UpstreamError) -> TypeGuard[UpstreamError]:
    """Whether the endpoint may have the content in spite of this failure."""
    return isinstance(failure, UpstreamError) and not isinstance(failure, UpstreamDenied)


def is_temporary(failure: Unknown | UpstreamError) -> TypeGuard[UpstreamUnreachable]:
    """Whether the same question may get another answer within seconds.

    This is false for a 429, a refusal and a faulty answer, for an open circuit breaker, and for an
    endpoint that asks for a longer wait.
    """
    return (
        isinstance(failure, UpstreamUnreachable)
        and not isinstance(failure, EndpointSuspended)
        and (failure.retry_after or 0.0) <= LONGEST_WAIT
    )
