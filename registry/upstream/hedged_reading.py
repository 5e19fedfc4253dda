"""Asking the next endpoint for the same bytes, if one takes long to send the first of them.

As soon as one sends bytes, the requests to the others are given up: no byte comes twice.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass

from registry.errors import Unknown, UpstreamError
from registry.upstream.contract import Chunk
from registry.upstream.endpoint import Endpoint
from registry.upstream.wanted_bytes import WantedBytes


@dataclass(eq=False, slots=True)
class Reading:
    """A request for the `wanted` bytes; the `first` of its `chunks` is None if there is none."""

    endpoint: Endpoint
    wanted: WantedBytes
    chunks: AsyncGenerator[Chunk, None]
    first: Chunk | None = None
    began: float = 0.0  # when it was begun (seconds of the event loop's clock)

    async def take_first(self) -> None:
        """Wait for the first chunk."""
        self.first = await anext(self.chunks, None)


Fail = Callable[[Endpoint, Unknown | UpstreamError], None]
Overtake = Callable[[Endpoint, float], None]  # gets how many seconds were waited for it


async def begin_soonest(
    begin: Callable[[Endpoint], Reading], turn: Iterator[Endpoint], fail: Fail, overtake: Overtake
) -> Reading | None:
    """Return the first reading that has a first chunk, or has ended; None if all have failed.

    Endpoints are asked in `turn`: the next one when one has failed, or takes too long. `fail` is
    called with each that has failed, before the next one is asked, and `overtake` with each that
    has sent nothing when another one did.
    """
    running: dict[asyncio.Task[None], Reading] = {}
    try:
        while True:
            wait: float | None = None
            if (endpoint := next(turn, None)) is not None:
                reading = begin(endpoint)
                reading.began = asyncio.get_running_loop().time()
                running[asyncio.create_task(reading.take_first())] = reading
                wait = endpoint.measured.performance.patience
            if not running:
                return None
            done, _ = await asyncio.wait(running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                reading = running.pop(task)
                try:
                    task.result()
                except (Unknown, UpstreamError) as error:
                    fail(reading.endpoint, error)
                else:
                    for other in running.values():
                        overtake(other.endpoint, asyncio.get_running_loop().time() - other.began)
                    return reading
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
