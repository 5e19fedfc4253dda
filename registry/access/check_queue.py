"""The checks of passwords that wait for their turn: who was wrong less often comes first."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from registry.errors import TooManyLogins


@dataclass(order=True, slots=True)
class _Waiting:
    """A check that waits; `spent` is how many its address has caused, `number` its place."""

    spent: float
    number: int
    turn: asyncio.Future[None] = field(compare=False)


class CheckQueue:
    """Lets `at_once` checks run, and `most` wait.

    Somebody who guesses from a few addresses fills it, and has soon been wrong with all of them. So
    whoever logs in for the first time comes before the guesses, and takes the place of one if it is
    full.
    """

    def __init__(self, at_once: int, most: int) -> None:
        self._free = at_once
        self._most = most
        self._number = 0
        self._waiting: list[_Waiting] = []  # a heap

    @asynccontextmanager
    async def hold_turn(self, spent: float) -> AsyncIterator[None]:
        """Wait for a turn, and hold it; `spent` is how many checks the address has caused.

        Raises:
            TooManyLogins: too many wait that were wrong less often.
        """
        if self._free:
            self._free -= 1
        else:
            await self._wait(spent)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, spent: float) -> None:
        if len(self._waiting) >= self._most:
            worst = max(self._waiting)
            if worst.spent <= spent:
                raise TooManyLogins
            self._remove(worst)
            if not worst.turn.done():
                worst.turn.set_exception(TooManyLogins())
        self._number += 1
        waiting = _Waiting(spent, self._number, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, waiting)
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._remove(waiting)
            elif not waiting.turn.cancelled() and waiting.turn.exception() is None:
                self._pass_on()  # the turn came in that moment
            raise

    def _remove(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        heapq.heapify(self._waiting)

    def _pass_on(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting).turn
            if not turn.done():  # who is cancelled in this moment needs none
                turn.set_result(None)
                return
        self._free += 1
