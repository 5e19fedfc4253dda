"""How long a request waits for its upstream when the mirror has something else to serve."""

import asyncio
from collections.abc import Callable
from typing import Any

from registry.errors import UpstreamError, UpstreamUnreachable

SLOW_FOR = 30.0  # seconds for which requests do not wait for an upstream that did not answer
EMPTY_WAIT = 5.0  # seconds before "nothing is known" is the answer: it could hide a signature


class UpstreamWaits:
    """Knows which upstreams are slow or down at the moment; `clock` is in epoch seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._slow_until: dict[str, float] = {}  # epoch seconds, by upstream

    def watch(self, registry: str, task: asyncio.Task[Any]) -> None:
        """Learn from the end of a question whether its upstream answers."""
        task.add_done_callback(lambda ended: self._learn(registry, ended))

    async def wait(self, registry: str, task: asyncio.Task[Any], seconds: float) -> None:
        """Wait for an answer for at most `seconds`, and not if the upstream is slow or down.

        The question goes on, and its answer serves the next request.

        Raises:
            UpstreamError: there is no answer within that time.
        """
        is_slow = self._clock() < self._slow_until.get(registry, 0.0)
        await asyncio.wait([task], timeout=0.0 if is_slow else max(0.0, seconds))
        if task.done():
            return
        if not is_slow and seconds > 0:
            self._mark_slow(registry)
        why = "it did not answer recently" if is_slow else f"no answer within {seconds:.2g} s"
        raise UpstreamError(registry, why)

    def _learn(self, registry: str, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            return
        # A 429 is an answer: with a used-up pull limit, tags are still revalidated by HEAD.
        if isinstance(task.exception(), UpstreamUnreachable):
            self._mark_slow(registry)
        else:
            self._slow_until.pop(registry, None)

    def _mark_slow(self, registry: str) -> None:
        self._slow_until[registry] = self._clock() + SLOW_FOR
