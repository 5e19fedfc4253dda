"""Laws of downloads that wait until their bytes are allowed, with a clock of the test."""

import asyncio
import math
from contextlib import ExitStack

import pytest

from registry.upstream import pacing
from registry.upstream.download_budget import DownloadBudget
from registry.upstream.pacing import SMALLEST, Lane, Link, Pacer
from registry.upstream.rate_shares import Shares

KIB = 1024
CHUNK = 64 * KIB
RATE = 10.0 * CHUNK


class Time:
    """A clock that a test moves; waiting tasks look at it when the test lets them run."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def run(self, seconds: float) -> None:
        """Let `seconds` pass in small steps."""
        for _ in range(round(seconds * 100)):
            self.now += 0.01
            for _ in range(4):
                await asyncio.sleep(0)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """A clock of the test; nobody waits for the real one."""
    monkeypatch.setattr(Lane, "find_wait", lambda _: 0.0)
    monkeypatch.setattr(pacing, "CHECK", 0.0)
    return Time()


async def take(pacer: Pacer, count: int) -> None:
    """Receive bytes, and wait until they are allowed."""
    pacer.charge(count)
    await pacer.wait()


def open_downloads(stack: ExitStack, link: Link, *urgent: bool) -> list[Pacer]:
    return [stack.enter_context(link.open(lambda each=each: each)) for each in urgent]


async def count_bytes(
    time: Time, seconds: float, *pacers: Pacer, chunk: int = CHUNK, connections: int = 1
) -> list[int]:
    """Let downloads take chunks for some seconds; return how many bytes each got."""
    taken = [0] * len(pacers)

    async def read(number: int) -> None:
        while True:
            await take(pacers[number], chunk)
            taken[number] += chunk
            await asyncio.sleep(0)

    tasks = [
        asyncio.create_task(read(number))
        for number in range(len(pacers))
        for _ in range(connections if number == 0 else 1)
    ]
    await time.run(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return taken


async def test_a_download_gets_the_rate(time: Time) -> None:
    """Over some seconds, a download gets what is allowed, also in pieces above a second's."""
    for chunk in (8 * KIB, CHUNK, 20 * CHUNK):
        link = Link(time)
        link.set_shares(Shares(RATE, RATE))
        with link.open(lambda: True) as pacer:
            [taken] = await count_bytes(time, 10, pacer, chunk=chunk)
        assert abs(taken - 10 * RATE) <= chunk + 2 * SMALLEST


async def test_without_a_limit_nobody_waits(time: Time) -> None:
    """A download of an upstream without a limit goes on at once."""
    with Link(time).open(lambda: True) as pacer:
        for _ in range(100):
            await take(pacer, 2**30)
        assert not pacer.is_held


async def test_downloads_share_fairly_however_many_connections_they_have(time: Time) -> None:
    """Four connections of one download get together what the one of another gets."""
    link = Link(time)
    link.set_shares(Shares(RATE, RATE))
    with ExitStack() as stack:
        pacers = open_downloads(stack, link, True, True)
        first, second = await count_bytes(time, 10, *pacers, connections=4)

    assert abs(first - second) <= 5 * CHUNK
    assert abs(first + second - 10 * RATE) <= 6 * CHUNK


async def test_warming_has_a_share_of_its_own(time: Time) -> None:
    """A download that nobody reads uses the share of warming, and takes nothing from clients."""
    link = Link(time)
    link.set_shares(Shares(RATE, RATE / 10))
    with ExitStack() as stack:
        pacers = open_downloads(stack, link, True, False)
        read, unread = await count_bytes(time, 10, *pacers)

    assert abs(read - 10 * RATE) <= 3 * CHUNK
    assert abs(unread - RATE) <= 3 * CHUNK


async def test_a_download_that_a_client_begins_to_read_waits_no_longer(time: Time) -> None:
    """A waiting download changes to the share of clients as soon as a client reads it."""
    link, readers = Link(time), [False]
    link.set_shares(Shares(RATE, 1.0))
    with link.open(lambda: readers[0]) as pacer:
        await take(pacer, 10 * CHUNK)
        waiting = asyncio.create_task(take(pacer, CHUNK))
        await time.run(1)
        assert not waiting.done()
        readers[0] = True
        await time.run(0.1)
        assert waiting.done()


async def test_a_changed_rate_counts_for_those_that_wait(time: Time) -> None:
    """Whoever waits under a low rate goes on as soon as there is no limit any more."""
    link = Link(time)
    link.set_shares(Shares(1.0, 1.0))
    with link.open(lambda: True) as pacer:
        await take(pacer, 10 * CHUNK)
        waiting = [asyncio.create_task(take(pacer, 10 * CHUNK)) for _ in range(3)]
        await time.run(1)
        assert not any(task.done() for task in waiting)
        link.set_shares(Shares(math.inf, 1.0))
        await time.run(0.1)
        assert all(task.done() for task in waiting)


async def test_one_that_gives_up_lets_the_next_take_its_turn(time: Time) -> None:
    """A download that ends while it waits does not keep the others waiting."""
    link = Link(time)
    link.set_shares(Shares(RATE, RATE))
    with ExitStack() as stack:
        first, second = open_downloads(stack, link, True, True)
        await take(first, 5 * CHUNK)
        leaving = asyncio.create_task(take(first, CHUNK))
        waiting = asyncio.create_task(take(second, CHUNK))
        await time.run(0.05)
        leaving.cancel()
        await time.run(1)
        assert waiting.done()


async def test_a_download_is_held_as_soon_as_it_will_have_to_wait(time: Time) -> None:
    """Between its bytes and the wait for them, it needs no further connections either."""
    link = Link(time)
    link.set_shares(Shares(RATE, RATE))
    with link.open(lambda: True) as pacer:
        await take(pacer, 10 * CHUNK)
        assert not pacer.is_held
        pacer.charge(CHUNK)
        assert pacer.is_held


async def test_bytes_of_a_download_that_has_ended_count(time: Time) -> None:
    """Whoever receives bytes and does not wait for them lets the next one wait."""
    link = Link(time)
    link.set_shares(Shares(RATE, RATE))
    with link.open(lambda: True) as pacer:
        pacer.charge(10 * CHUNK)  # a second of the rate
        waiting = asyncio.create_task(pacer.wait())
        await asyncio.sleep(0)
        pacer.charge(10 * CHUNK)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    with link.open(lambda: True) as following:
        waiting = asyncio.create_task(take(following, CHUNK))
        await time.run(1.8)
        assert not waiting.done()
        await time.run(0.3)
        assert waiting.done()


async def test_what_downloads_used_is_measured(time: Time) -> None:
    """The demand has the bytes of the last second, and says whether somebody waited."""
    link = Link(time)
    with ExitStack() as stack:
        pacers = open_downloads(stack, link, True, False)
        for _ in range(40):
            await take(pacers[0], CHUNK)
            await time.run(0.1)
        found = link.measure()
        assert (found.clients.downloads, found.warming.downloads) == (1, 1 - 1)
        assert abs(found.clients.used - RATE) < RATE / 10
        assert not found.clients.is_held
        link.set_shares(Shares(RATE, 1.0))
        await count_bytes(time, 2, *pacers)
        found = link.measure()
        assert found.clients.is_held
        assert found.warming == type(found.warming)(1, found.warming.used, is_held=True)
    assert link.measure().warming.downloads == 0


async def test_no_more_connections_while_the_own_limit_holds_a_download_back(time: Time) -> None:
    """A slow link may need further connections; a download that waits for its turn does not."""
    link = Link(time)
    budget = DownloadBudget(32 * 2**20, 64)
    turn = budget.open_turn(lambda: True, 4, "docker.io")
    assert turn.begin()
    with link.open(lambda: True) as turn.pace:
        assert turn.take(2**20, 2**20, 1)
        link.set_shares(Shares(RATE, RATE))
        await count_bytes(time, 1, turn.pace)
        assert not turn.take(2**20, 2**20, 1)
        await time.run(2)
        assert turn.take(2**20, 2**20, 1)
