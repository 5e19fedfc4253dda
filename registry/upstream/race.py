"""Asking endpoints one after the other, without a long wait for one that cannot be reached."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

from registry.errors import Unknown, UpstreamError
from registry.upstream.endpoint import Endpoint

T = TypeVar("T")
Question = Callable[[Endpoint], Coroutine[Any, Any, T]]
CONNECT_WAIT = 0.5  # seconds for a connection, before the next endpoint is asked at the same time


class Race(Generic[T]):
    """Puts a question to endpoints in order; each is asked once.

    The next endpoint is asked when one has failed, or has no connection after `CONNECT_WAIT`. An
    endpoint with a connection may take its time: it may be downloading the content itself. With
    `is_hedged`, the next one is asked too after its `patience`: for a question that costs little,
    such as a HEAD. With `is_optional`, no endpoint is waited for after a clear "no", if the next
    one would have been asked because of it.

    `failures` has the failure of each endpoint that has failed. `winner` is the endpoint that
    answered, `overtaken` are those that had no connection by then, and `silent` those that have not
    answered within their patience, with how many seconds they had.
    """

    def __init__(
        self,
        question: Question[T],
        endpoints: Iterable[Endpoint],
        *,
        is_optional: bool = False,
        is_hedged: bool = False,
    ) -> None:
        self.failures: dict[Endpoint, Unknown | UpstreamError] = {}
        self.winner: Endpoint | None = None
        self.overtaken: list[Endpoint] = []
        self.silent: dict[Endpoint, float] = {}
        self._question = question
        self._is_optional = is_optional
        self._is_hedged = is_hedged
        self._waiting = deque(endpoints)
        self._running: dict[asyncio.Task[T], Endpoint] = {}
        self._asked_at: dict[Endpoint, float] = {}

    async def run(self) -> T | None:
        """Return the first answer; None if there is no `winner`, because all endpoints failed."""
        if len(self._waiting) == 1:
            return await self._ask_only(self._waiting.popleft())
        began = asyncio.get_running_loop().time()
        try:
            while self._waiting or self._running:
                if self._waiting and not self._is_awaited(began):
                    self._ask(self._waiting.popleft())
                is_enough = self._is_optional and self._is_denied() and not self._waiting
                done, _ = await asyncio.wait(
                    self._running,
                    timeout=self._find_wait() if self._waiting or is_enough else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if is_enough and not done and not self._is_awaited(began):
                    self._note_overtaken(began)
                    return None
                for task in done:
                    endpoint = self._running.pop(task)
                    try:
                        answer = task.result()
                    except (Unknown, UpstreamError) as error:
                        self.failures[endpoint] = error
                    else:
                        self.winner = endpoint
                        self._note_overtaken(began)
                        return answer
            return None
        finally:
            await self._stop()

    async def _ask_only(self, endpoint: Endpoint) -> T | None:
        """Ask the only endpoint in this task: an answer without a request comes without a wait."""
        try:
            answer = await self._question(endpoint)
        except (Unknown, UpstreamError) as error:
            self.failures[endpoint] = error
            return None
        self.winner = endpoint
        return answer

    def _is_denied(self) -> bool:
        return any(isinstance(each, Unknown) for each in self.failures.values())

    def _ask(self, endpoint: Endpoint) -> None:
        self._asked_at[endpoint] = asyncio.get_running_loop().time()
        self._running[asyncio.create_task(self._question(endpoint))] = endpoint

    def _find_wait(self) -> float:
        """Return after how many seconds it has to be looked at again whether to ask the next."""
        left = (self._measure_patience(each) for each in self._running.values())
        return min((CONNECT_WAIT, *(seconds for seconds in left if seconds > 0.0)))

    def _measure_patience(self, endpoint: Endpoint) -> float:
        """Return how many seconds an endpoint still has to answer before the next one is asked."""
        if not self._is_hedged:
            return math.inf
        waited = asyncio.get_running_loop().time() - self._asked_at[endpoint]
        return endpoint.measured.performance.patience - waited

    def _is_awaited(self, since: float) -> bool:
        """Whether an endpoint has a connection, and still has time to answer."""
        return any(
            each.connected_at >= since and self._measure_patience(each) > 0.0
            for each in self._running.values()
        )

    def _note_overtaken(self, since: float) -> None:
        now = asyncio.get_running_loop().time()
        for each in self._running.values():
            if each.connected_at < since:
                self.overtaken.append(each)
            elif self._measure_patience(each) <= 0.0:
                self.silent[each] = now - self._asked_at[each]

    async def _stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
