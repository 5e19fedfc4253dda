"""Two mirrors that wait for each other, because each has the other as an endpoint.

If clients of both ask for the same in the same moment, the question of each mirror reaches the
other while that one asks too, and joins its question. Neither would end before a time limit.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from registry.errors import UpstreamLoop
from registry.oci.names import Repository
from registry.upstream.contract import Source

T = TypeVar("T")
WAIT = 0.5  # seconds without an answer, after which another mirror may be waiting in a circle


class Circles:
    """Notices that a mirror that waits for an answer is itself needed for that answer."""

    def __init__(self, sources: Mapping[str, Source], wait: float = WAIT) -> None:
        self._sources = sources
        self._wait = wait

    async def watch(
        self,
        repository: Repository,
        answer: Coroutine[Any, Any, T],
        has_begun: Callable[[], bool],
    ) -> T:
        """Return the answer to the request of another mirror, unless there is a circle.

        `has_begun` says whether bytes of the answer were sent: then it needs nobody any more.

        Raises:
            UpstreamLoop: after a while there is no answer, and the upstream that is asked first
                refuses a request that has passed through that mirror.
        """
        answering = asyncio.create_task(answer)
        try:
            await asyncio.wait((answering,), timeout=self._wait)
            if not (answering.done() or has_begun()):
                leading = asyncio.create_task(self._sources[repository.registry].leads_back())
                try:
                    await asyncio.wait((answering, leading), return_when=asyncio.FIRST_COMPLETED)
                    is_open = answering.done() or has_begun() or not leading.result()
                finally:
                    leading.cancel()
                if not is_open:
                    raise UpstreamLoop(repository.registry)
            return await answering
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
