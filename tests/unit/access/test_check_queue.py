"""Laws of the queue of checks: who was wrong less often comes first, also into a full queue."""

import asyncio

import pytest

from registry.access.check_queue import CheckQueue
from registry.errors import TooManyLogins

AT_ONCE, MOST = 2, 3


class Site:
    """A queue, whose turns last until a test ends them."""

    def __init__(self) -> None:
        self.queue = CheckQueue(AT_ONCE, MOST)
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def _check(self, name: str, spent: float) -> None:
        async with self.queue.hold_turn(spent):
            self.begun.append(name)
            await self.ends[name].wait()

    async def ask(self, name: str, spent: float) -> asyncio.Task[None]:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._check(name, spent))
        await asyncio.sleep(0)
        return self.tasks[name]

    async def end(self, name: str) -> None:
        """End a check, and give the next one its turn."""
        self.ends[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)


@pytest.fixture
async def site() -> Site:
    """A queue whose turns are all taken."""
    site = Site()
    for name in ("a", "b"):
        await site.ask(name, 0)
    assert site.begun == ["a", "b"]
    return site


async def test_who_was_wrong_less_often_comes_first(site: Site) -> None:
    """Among equals, whoever came first."""
    for name, spent in (("worst", 9), ("first", 1), ("second", 1)):
        await site.ask(name, spent)
    assert len(site.begun) == AT_ONCE

    for name in ("a", "b", "first"):
        await site.end(name)

    assert site.begun[AT_ONCE:] == ["first", "second", "worst"]


async def test_a_full_queue_has_room_for_who_was_wrong_less_often(site: Site) -> None:
    """The worst that waits is refused for it; of equals, the last one."""
    for name, spent in (("c", 1), ("worst", 9), ("d", 1)):
        await site.ask(name, spent)

    new = await site.ask("new", 0)
    with pytest.raises(TooManyLogins):
        await site.tasks["worst"]
    with pytest.raises(TooManyLogins):
        await (await site.ask("late", 1))
    for name in ("a", "b"):
        await site.end(name)

    assert site.begun[AT_ONCE:] == ["new", "c"]
    assert not new.done()


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_check_that_is_cancelled_gives_its_place_back(site: Site, *, is_late: bool) -> None:
    """Also in the moment when its turn comes."""
    leaving = await site.ask("leaving", 0)
    await site.ask("staying", 1)
    if is_late:
        site.ends["a"].set()
        await asyncio.sleep(0)  # the turn is given, and `leaving` has not run since
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    if not is_late:
        await site.end("a")
    await asyncio.sleep(0)

    assert site.begun[AT_ONCE:] == ["staying"]
