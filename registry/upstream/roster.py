"""The endpoints of one upstream: whom to ask first, whom next, and when to give up."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from registry.errors import (
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamUnreachable,
)
from registry.upstream.endpoint import Endpoint
from registry.upstream.patience import Patience

T = TypeVar("T")
ASK_BUDGET = 25.0  # seconds for one question; containerd waits 30 for our headers
ROUNDS = 3  # over all endpoints


class Roster:
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

    def patience(self, budget: float) -> Patience:
        """Return a fresh patience of `budget` seconds."""
        return Patience(budget, self._clock() + budget, self._chance)

    def now(self) -> float:
        """Return the time on the clock that patience runs on, in seconds."""
        return self._clock()

    def candidates(self, *, counts: bool = False) -> list[Endpoint]:
        """Return whom to ask now, best first: not those at rest, suspects last.

        When all rest, all are returned: asking then fails at once, with the reason.
        """
        awake = [each for each in self._endpoints if not each.rests(counts=counts)]
        return sorted(awake or self._endpoints, key=Endpoint.is_suspect)

    def accuse(self, origins: Collection[str]) -> None:
        """Mark the endpoints of these origins as having sent wrong bytes."""
        for endpoint in self._endpoints:
            if endpoint.origin in origins:
                endpoint.accuse()

    async def ask(self, question: Callable[[Endpoint], Awaitable[T]], *, counts: bool = False) -> T:
        """Put one question to one endpoint after the other until one settles it.

        Raises:
            Unknown: every endpoint says so.
            UpstreamError: it could not be settled within three rounds or 25 s.
        """
        patience = self.patience(ASK_BUDGET)
        try:
            async with asyncio.timeout(ASK_BUDGET):
                for last_round in (False,) * (ROUNDS - 1) + (True,):
                    failures: list[Unknown | UpstreamError] = []
                    for endpoint in self.candidates(counts=counts):
                        try:
                            return await question(endpoint)
                        except (Unknown, UpstreamError) as error:
                            failures.append(error)
                    verdict = weigh(failures)
                    wait = patience.next_wait(self._clock())
                    if last_round or wait is None or not may_pass(verdict):
                        raise verdict
                    await asyncio.sleep(wait)
        except TimeoutError as error:
            raise UpstreamUnreachable(
                self._name, f"no endpoint answered within {ASK_BUDGET:.0f} s"
            ) from error
        raise AssertionError("the last round returns or raises")


def weigh(failures: Sequence[Unknown | UpstreamError]) -> Unknown | UpstreamError:
    """Return the failure that stands for all: absent only if nobody left the question open."""
    unsettled = [
        each
        for each in failures
        if isinstance(each, UpstreamError) and not isinstance(each, UpstreamDenied)
    ]
    return (unsettled or failures)[-1]


def may_pass(failure: Unknown | UpstreamError) -> bool:
    """Whether the same question may be answered differently in a moment.

    A 429, a refusal and nonsense stay what they are; an endpoint at rest says so by `retry_after`.
    """
    return isinstance(failure, UpstreamUnreachable) and failure.retry_after is None
