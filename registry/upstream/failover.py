"""The endpoints of one upstream: whom to ask first, whom next, and when to give up."""

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
from registry.upstream.client import HASTY_CONNECT
from registry.upstream.endpoint import Endpoint
from registry.upstream.failures import EndpointSuspended

T = TypeVar("T")
ASK_BUDGET = 25.0  # seconds for one question; containerd waits 30 for our headers
ROUNDS = 3  # over all endpoints


class EndpointPool:
    """Endpoints in the order the operator wrote them."""

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        clock: Callable[[], float],
        chance: random.Random,
    ) -> None:
        self._name = name
        self._endpoints = tuple(endpoints)
        self._clock = clock
        self._chance = chance
        self._log = structlog.get_logger("registry.upstream")
        # Whoever was accused last comes last: when all are suspect, it is not always the same one
        # who may go on lying.
        self._suspects: dict[Endpoint, None] = {}
        for endpoint in self._endpoints[:-1]:
            endpoint.connect = HASTY_CONNECT

    def retries(self, budget: float) -> RetryBudget:
        """Return a fresh patience of `budget` seconds."""
        return RetryBudget(budget, self._clock() + budget, self._chance)

    def now(self) -> float:
        """Return the time on the clock that patience runs on, in seconds."""
        return self._clock()

    def candidates(
        self, *, counts: bool = False, without: Collection[Endpoint] = ()
    ) -> list[Endpoint]:
        """Return whom to ask now, best first: not those at rest or in `without`, suspects last.

        When all rest, all are returned: asking then fails at once, with the reason.
        """
        able = [each for each in self._endpoints if each not in without]
        awake = [each for each in able if not each.rests(counts=counts)]
        places = {endpoint: place for place, endpoint in enumerate(self._suspects, 1)}
        return sorted(
            awake or able,
            key=lambda each: (each.is_suspect(), each.is_suspect() and places.get(each, 0)),
        )

    def mark_suspect(self, origins: Sequence[str]) -> None:
        """Mark the endpoints of these origins as having sent wrong bytes, the likeliest last."""
        for origin in origins:
            for endpoint in self._endpoints:
                if endpoint.origin == origin:
                    endpoint.mark_suspect()
                    self._suspects.pop(endpoint, None)
                    self._suspects[endpoint] = None

    def format_failure(self, endpoint: Endpoint, error: Unknown | UpstreamError) -> None:
        """Log what an endpoint failed with: another one may make up for it, unnoticed."""
        if _leaves_open(error) and not isinstance(error, EndpointSuspended):
            self._log.warning(
                "endpoint failed", upstream=self._name, endpoint=endpoint.origin, why=str(error)
            )

    async def ask(self, question: Callable[[Endpoint], Awaitable[T]], *, counts: bool = False) -> T:
        """Put one question to one endpoint after the other until one settles it.

        Raises:
            Unknown: every endpoint says so.
            UpstreamError: it could not be settled within three rounds or 25 s.
        """
        retries = self.retries(ASK_BUDGET)
        try:
            async with asyncio.timeout(ASK_BUDGET):
                for last_round in (False,) * (ROUNDS - 1) + (True,):
                    failures: list[Unknown | UpstreamError] = []
                    for endpoint in self.candidates(counts=counts):
                        try:
                            return await question(endpoint)
                        except (Unknown, UpstreamError) as error:
                            failures.append(error)
                            self.format_failure(endpoint, error)
                    verdict = weigh(failures)
                    retry_after = verdict.retry_after if may_pass(verdict) else None
                    wait = retries.next_wait(self._clock(), retry_after)
                    if last_round or wait is None or not may_pass(verdict):
                        raise verdict
                    await asyncio.sleep(wait)
        except TimeoutError as error:
            raise UpstreamUnreachable(
                self._name, f"no endpoint answered within {ASK_BUDGET:.0f} s"
            ) from error
        raise AssertionError("the last round returns or raises")


def weigh(failures: Sequence[Unknown | UpstreamError]) -> Unknown | UpstreamError:
    """Return the failure that stands for all, and tells of all.

    Content is absent only if nobody left the question open.
    """
    unsettled = [each for each in failures if _leaves_open(each)]
    verdict = (unsettled or failures)[-1]
    if isinstance(verdict, UpstreamError):
        verdict.add_failures(unsettled)
    return verdict


def _leaves_open(failure: Unknown | UpstreamError) -> TypeGuard[UpstreamError]:
    return isinstance(failure, UpstreamError) and not isinstance(failure, UpstreamDenied)


def may_pass(failure: Unknown | UpstreamError) -> TypeGuard[UpstreamUnreachable]:
    """Whether the same question may be answered differently in a moment.

    A 429, a refusal and nonsense stay what they are; so does a rest, ours or one it asks for.
    """
    return (
        isinstance(failure, UpstreamUnreachable)
        and not isinstance(failure, EndpointSuspended)
        and (failure.retry_after or 0.0) <= LONGEST_WAIT
    )
