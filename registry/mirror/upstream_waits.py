"""How long a request waits for its upstream when the mirror has something else to serve."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from registry.errors import Unknown, UpstreamError, UpstreamUnreachable
from registry.mirror.outages import Outages
from registry.oci.names import Repository
from registry.upstream.contract import Fallback
from registry.upstream.failures import EndpointSuspended, NoConnection

T = TypeVar("T")
EMPTY_WAIT = 5.0  # seconds before "nothing is known" is the answer: it could hide a signature
SHORT_WAIT = 0.25  # seconds at most, while the upstream is slow or down
SLOW_FOR = 30.0  # seconds after an upstream gave no answer, in which known tags are served at once


class UpstreamWaits:
    """Knows which upstreams are slow or down: those that gave no answer, and none since.

    A request waits for `known_wait` seconds if an earlier answer is known, and for `empty_wait` if
    nothing is. `clock` is in epoch seconds. `outages` may be shared with other processes.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        outages: Outages,
        known_wait: float,
        empty_wait: float = EMPTY_WAIT,
    ) -> None:
        self._clock = clock
        self._outages = outages
        self._known_wait = known_wait
        self._empty_wait = empty_wait

    def watch(
        self,
        repository: Repository,
        task: asyncio.Task[T],
        *,
        is_long: bool = False,
        was_asked: Callable[[T], bool] = lambda _: True,
    ) -> None:
        """Learn from the end of a question whether its upstream answers.

        A question that `is_long` takes many requests: its failure says little about the others.
        `was_asked` says whether the upstream was asked for a result.
        """

        def learn(ended: asyncio.Task[T]) -> None:
            if ended.cancelled():
                return
            error = ended.exception()
            if error is not None:
                self._learn(repository, error, is_long=is_long)
            elif was_asked(ended.result()):
                self._outages.end(repository)

        task.add_done_callback(learn)

    async def wait(
        self,
        repository: Repository,
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
        loop = asyncio.get_running_loop()
        began = loop.time() - (0.0 if since is None else max(0.0, self._clock() - since))
        await asyncio.wait([task], timeout=0.0)
        while not task.done():
            seconds = self._find_limit(repository, fallback)
            left = began + seconds - loop.time()
            if left <= 0:
                is_slow = bool(self._outages.find(repository))
                if not (is_slow or is_long):
                    self._note_silence(repository, task, seconds)
                why = (
                    "it did not answer recently" if is_slow else f"no answer within {seconds:.2g} s"
                )
                raise UpstreamError(repository.registry, why)
            # In short steps, because other requests may learn that the upstream is down, or back.
            await asyncio.wait([task], timeout=min(left, SHORT_WAIT))

    def _find_limit(self, repository: Repository, fallback: Fallback) -> float:
        """Return for how many seconds a request waits.

        If nothing is known, or the upstream gave no answer long ago, a short wait tells an upstream
        that is back, or well after all, from one that is down.
        """
        usual = self._known_wait if fallback is Fallback.KNOWN else self._empty_wait
        failed = self._outages.find(repository)
        if not failed:
            return usual
        if fallback is Fallback.KNOWN and abs(self._clock() - failed) < SLOW_FOR:
            return 0.0
        return min(usual, SHORT_WAIT)

    def _note_silence(
        self, repository: Repository, task: asyncio.Task[Any], seconds: float
    ) -> None:
        """Note that `task` had no answer within `seconds`; for 0, wait some more before that."""
        if seconds > 0:
            self._outages.begin(repository, self._clock())
            return

        def check() -> None:
            if not task.done():
                self._outages.begin(repository, self._clock())

        asyncio.get_running_loop().call_later(SHORT_WAIT, check)

    def _learn(self, repository: Repository, error: BaseException, *, is_long: bool) -> None:
        """Learn from the error of a question; one of the disk or the catalog says nothing."""
        # A 429 is an answer: with a used-up pull limit, tags are still revalidated by HEAD.
        if not isinstance(error, UpstreamUnreachable):
            if isinstance(error, Unknown | UpstreamError):
                self._outages.end(repository)
        elif not (is_long or isinstance(error, EndpointSuspended)):
            # A suspended endpoint was not asked. Another worker may have had an answer since.
            is_whole = isinstance(error, NoConnection)
            self._outages.begin(repository, self._clock(), is_whole=is_whole)
