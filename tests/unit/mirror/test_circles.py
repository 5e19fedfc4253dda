"""Laws of mirrors that wait for each other: only a real circle is refused, and at once."""

import asyncio
from contextlib import suppress

import pytest

from registry.errors import UpstreamLoop
from registry.mirror.circles import Circles
from registry.oci.names import Repository
from tests.fakes.source import MemorySource, Tap

HERE = Repository("docker.io", "library/a")
WAIT = 0.02
ANSWER = "the answer"


class Site:
    """An answer that comes when `is_there` is set, and an upstream that may lead back."""

    def __init__(self, *, leads_back: bool = False, is_slow: bool = False) -> None:
        self.is_there = asyncio.Event()
        self.asked = asyncio.Event()
        self.is_cancelled = False
        self.has_begun = False
        site = self

        class Upstream(MemorySource):
            async def leads_back(self) -> bool:
                site.asked.set()
                if is_slow:
                    await asyncio.Event().wait()
                return leads_back

        self._circles = Circles({HERE.registry: Upstream(Tap())}, WAIT)

    async def _answer(self) -> str:
        try:
            await self.is_there.wait()
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise
        return ANSWER

    async def watch(self) -> str:
        async with asyncio.timeout(5):
            return await self._circles.watch(HERE, self._answer(), lambda: self.has_begun)


async def test_a_circle_is_refused() -> None:
    """The other mirror then asks its next endpoint, which ends the wait of both."""
    site = Site(leads_back=True)
    with pytest.raises(UpstreamLoop):
        await site.watch()
    assert site.is_cancelled


async def test_an_answer_in_time_asks_nobody() -> None:
    """Nearly all requests of other mirrors are answered before a circle is looked for."""
    site = Site(leads_back=True)
    site.is_there.set()
    assert await site.watch() == ANSWER
    assert not site.asked.is_set()


@pytest.mark.parametrize("is_slow", [True, False])
async def test_a_slow_registry_is_no_circle(*, is_slow: bool) -> None:
    """The answer is waited for, whether or not the endpoint answers what it is."""
    site = Site(is_slow=is_slow)
    watching = asyncio.create_task(site.watch())
    await site.asked.wait()
    await asyncio.sleep(0)
    site.is_there.set()
    assert await watching == ANSWER


async def test_an_answer_that_has_begun_is_not_cut() -> None:
    """A blob that is being sent takes longer, and needs nobody's answer any more."""
    site = Site(leads_back=True)
    site.has_begun = True
    watching = asyncio.create_task(site.watch())
    await asyncio.sleep(3 * WAIT)
    site.is_there.set()
    assert await watching == ANSWER
    assert not site.asked.is_set()


async def test_a_client_that_leaves_ends_the_wait() -> None:
    """Nothing goes on for it."""
    site = Site()
    watching = asyncio.create_task(site.watch())
    await asyncio.sleep(0.001)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert site.is_cancelled
