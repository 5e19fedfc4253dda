"""Leaving a part of an endpoint's pull limit for clients."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from registry.errors import PullsReserved
from registry.oci.rate_limits import RateLimit


class PullReserve:
    """Allows counted requests to one endpoint as long as `keep_pulls` of its limit stay left.

    `read_limit` returns the limit that was last reported to any process, since clients use it too.
    `clock` gives epoch seconds.
    """

    def __init__(
        self,
        origin: str,
        keep_pulls: int,
        read_limit: Callable[[], Awaitable[RateLimit | None]],
        clock: Callable[[], float],
    ) -> None:
        self._origin = origin
        self._keep_pulls = keep_pulls
        self._read_limit = read_limit
        self._clock = clock
        self._running = 0
        self._ended = asyncio.Condition()

    @asynccontextmanager
    async def spend(self) -> AsyncIterator[None]:
        """Allow one counted request, which is sent inside of the `async with`.

        Nobody knows whether the last figure includes a request that is still running. So one that
        only fits without those waits until they have ended.

        Raises:
            PullsReserved: no more than `keep_pulls` requests are left.
            StoreError: the limit cannot be read.
        """
        async with self._ended:
            while (remaining := await self._find_excess()) is not None:
                if not self._running:
                    raise PullsReserved(self._origin, remaining, self._keep_pulls)
                await self._ended.wait()
            self._running += 1
        try:
            yield
        finally:
            async with self._ended:
                self._running -= 1
                self._ended.notify_all()

    async def _find_excess(self) -> int | None:
        """Return what is left of the limit if another request is too much; None if it is not."""
        limit = await self._read_limit()
        if limit is None or not limit.is_current(self._clock()):
            return None
        is_allowed = limit.allows(self._running + 1, self._keep_pulls)
        return None if is_allowed else limit.remaining
