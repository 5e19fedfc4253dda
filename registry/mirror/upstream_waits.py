"""How long a request waits for its upstream when the mirror has something else to serve."""

import asyncio
from collections.abc import Callable
from typing import Any

from registry.errors import UpstreamError, UpstreamUnreachable
from registry.upstream.contract import Fallback

SLOW_FOR = 30.0  # seconds for which requests do not wait for an upstream that did not answer
EMPTY_WAIT = 5.0  # seconds before "nothing is known" is the answer: it could hide a signature
SHORT_WAIT = 0.25  # seconds for the same, while the upstream is slow or down


class UpstreamWaits:
    """Knows which upstreams are slow or down at the moment; `clock` is in epoch seconds.

    A request waits for `known_wait` seconds if an earlier answer is known, and for `empty_wait` if
    nothing is.
    """

    def __init__(
        self, clock: Callable[[], float], known_wait: float, empty_wait: float = EMPTY_WAIT
    ) -> None:
        self._clock = clock
        self._known_wait = known_wait
        self._empty_wait = empty_wait
        self._slow_until: dict[str, float] = {}  # epoch seconds, by upstream

    def watch(self, registry: str, task: asyncio.Task[Any], *, is_long: bool = False) -> None:
        """Learn from the end of a question whether its upstream answers.

        A question that `is_long` takes many requests: its failure says little about the others.
        """
        task.add_done_callback(lambda ended: self._learn(registry, ended, is_long=is_long))

    async def wait(
        self,
        registry: str,
        task: asyncio.Task[Any],
        fallback: Fallback,
        *,
        since: float | None = None,
        is_long: bool = False,
    ) -> None:
        """Wait until there is an answer, or until the mirror serves `fallback` instead.

        The wait began at `since` (epoch seconds; None: now). The question goes on, and its answer
        serves the next request. A question that `is_long` makes no upstream count as slow.

        Raises:
            UpstreamError: there is no answer within that time.
        """
        if fallback is Fallback.NONE:
            await asyncio.wait([task])
            return
        is_slow = self._is_slow(registry)
        seconds = self._find_limit(fallback, is_slow=is_slow)
        passed = 0.0 if since is None else self._clock() - since
        await asyncio.wait([task], timeout=max(0.0, seconds - passed))
        if task.done():
            return
        if not (is_slow or is_long) and seconds > 0:
            self._mark_slow(registry)
        why = "it did not answer recently" if is_slow else f"no answer within {seconds:.2g} s"
        raise UpstreamError(registry, why)

    def _find_limit(self, fallback: Fallback, *, is_slow: bool) -> float:
        """Return for how many seconds a request waits.

        What is known is served at once by a slow upstream's mirror. If nothing is known, a short
        wait tells an upstream that is back, or well after all, from one that is down.
        """
        if fallback is Fallback.KNOWN:
            return 0.0 if is_slow else self._known_wait
        return min(self._empty_wait, SHORT_WAIT) if is_slow else self._empty_wait

    def _is_slow(self, registry: str) -> bool:
        return self._clock() < self._slow_until.get(registry, 0.0)

    def _learn(self, registry: str, task: asyncio.Task[Any], *, is_long: bool) -> None:
        if task.cancelled():
            return
        # A 429 is an answer: with a used-up pull limit, tags are still revalidated by HEAD.
        if not isinstance(task.exception(), UpstreamUnreachable):
            self._slow_until.pop(registry, None)
        elif not is_long:
            self._mark_slow(registry)

    def _mark_slow(self, registry: str) -> None:
        self._slow_until[registry] = self._clock() + SLOW_FOR
