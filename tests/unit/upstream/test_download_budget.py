"""Laws of the budget of downloads: what it bounds, and who comes first."""

import asyncio
from contextlib import suppress

import pytest

from registry.tasks import Tasks
from registry.upstream.download_budget import (
    LEAST_DEPTH,
    LEAST_THREAD_TIME,
    MOST_WAITING,
    THREAD_TIME,
    DownloadBudget,
    Turn,
    share_out,
)

MIB = 1024 * 1024


class Reader:
    """Whether somebody reads a download."""

    def __init__(
        self,
        budget: DownloadBudget,
        connections: int = 4,
        *,
        is_there: bool = True,
        upstream: str = "docker.io",
    ):
        self.is_there = is_there
        self.turn = budget.open_turn(lambda: self.is_there, connections, upstream)


@pytest.mark.parametrize(
    ("downloads", "most", "each"),
    [(1, 4, 8 * MIB), (2, 4, 4 * MIB), (8, 4, MIB), (16, 2, MIB), (25, 1, 0), (100, 1, 0)],
)
def test_all_get_the_same_share(downloads: int, most: int, each: int) -> None:
    """The more downloads there are, the fewer connections each has."""
    assert share_out(32 * MIB, 64, downloads, own=4, least=MIB) == (most, each)


def test_memory_is_never_exceeded() -> None:
    """However many downloads take, they get no more than the budget has."""
    budget = DownloadBudget(10 * MIB, 64)
    turns = [Reader(budget).turn for _ in range(5)]
    taken = 0
    for turn in turns:
        assert turn.begin()
        for used in range(4):
            taken += turn.take(8 * MIB, MIB, used)
    assert 0 < taken <= 10 * MIB


def test_one_download_may_use_everything() -> None:
    """A download that is alone gets all connections that its upstream allows."""
    budget = DownloadBudget(32 * MIB, 64)
    turn = Reader(budget).turn
    assert turn.begin()
    assert [turn.take(8 * MIB, MIB, used) > 0 for used in range(5)] == [True] * 4 + [False]


def test_what_is_given_back_can_be_taken_again() -> None:
    """Memory is counted until it is given back."""
    budget = DownloadBudget(8 * MIB // 3, 64)  # a quarter is for what is not written yet
    turn = Reader(budget).turn
    turn.begin()
    assert [turn.take(2 * MIB, MIB, used) for used in range(3)] == [MIB, MIB, 0]
    turn.give_back(MIB)
    assert turn.take(2 * MIB, MIB, 1) == MIB


def test_a_download_that_nobody_reads_has_one_connection() -> None:
    """What nobody waits for needs neither memory nor speed."""
    reader = Reader(DownloadBudget(32 * MIB, 64))
    reader.turn.begin()
    assert reader.turn.take(MIB, MIB, 1)
    reader.is_there = False
    assert not reader.turn.take(MIB, MIB, 1)


def test_many_downloads_receive_little_ahead() -> None:
    """What is received and not written yet is bounded too."""
    budget = DownloadBudget(16 * MIB, 64)
    turns = [Reader(budget).turn for _ in range(64)]
    depths = []
    for turn in turns:
        turn.begin()
        depths.append(turn.find_depth())
    assert depths == sorted(depths, reverse=True)
    assert (depths[0], depths[-1]) == (4 * MIB, LEAST_DEPTH)


@pytest.mark.parametrize("downloads", range(1, 65))
def test_all_memory_is_counted(downloads: int) -> None:
    """Segments, and what is received and not written yet, need no more than the budget together."""
    budget = DownloadBudget(32 * MIB, 64)
    turns = [Reader(budget).turn for _ in range(downloads)]
    assert all(turn.begin() for turn in turns)
    taken = sum(turn.take(8 * MIB, MIB, used) for used in range(1, 4) for turn in turns)
    assert taken + sum(turn.find_depth() for turn in turns) <= 32 * MIB


def is_waiting(*turns: Turn) -> list[bool]:
    return [turn.is_waiting for turn in turns]


def test_others_wait_in_their_order() -> None:
    """Without a connection a download waits, and the first that waits is the next to run."""
    budget = DownloadBudget(MIB, 1)
    first, second, third = (Reader(budget).turn for _ in range(3))
    assert [first.begin(), second.begin(), third.begin()] == [True, False, False]
    assert first.begin(), "it runs already"
    first.end()

    assert not third.begin()
    assert second.begin()
    assert is_waiting(first, second, third) == [False, False, True]


def test_those_that_are_read_come_first() -> None:
    """A download that nobody reads waits for one that began later and is read."""
    budget = DownloadBudget(MIB, 1)
    first, left, read = Reader(budget), Reader(budget, is_there=False), Reader(budget)
    assert [each.turn.begin() for each in (first, left, read)] == [True, False, False]
    first.turn.end()
    assert [each.turn.begin() for each in (left, read)] == [False, True]


async def test_a_download_that_nobody_reads_is_paused_for_one_that_is() -> None:
    """It gives its connection away."""
    budget = DownloadBudget(MIB, 1)
    left, read = Reader(budget, is_there=False), Reader(budget)
    assert left.turn.begin()
    assert not read.turn.begin()
    pausing = asyncio.timeout(None)
    with suppress(TimeoutError):
        async with pausing:
            left.turn.pausing = pausing
            assert not read.turn.begin()
            await asyncio.sleep(20)
    assert pausing.expired()
    left.turn.end()
    async with asyncio.timeout(20):
        await read.turn.wait(20)
    assert read.turn.begin()


class Dripping:
    """A download of a slow upstream, which runs until it is paused and then waits again."""

    def __init__(self, budget: DownloadBudget, upstream: str) -> None:
        self.turn = Reader(budget, upstream=upstream).turn
        self.pauses = 0
        self.is_running = False

    async def run(self) -> None:
        while True:
            while not self.turn.begin():
                self.is_running = False
                await self.turn.wait(0.02)
            self.is_running = True
            pausing = asyncio.timeout(None)
            try:
                async with pausing:
                    self.turn.pausing = pausing
                    await asyncio.Event().wait()
            except TimeoutError:
                self.pauses += 1
            self.turn.end()


async def test_a_slow_upstream_does_not_keep_all_connections() -> None:
    """Downloads of others get an equal share, although clients read all of the slow one."""
    budget = DownloadBudget(MIB, 8)
    async with Tasks() as tasks:
        slow = [Dripping(budget, "slow.example") for _ in range(20)]
        for each in slow:
            tasks.start(each.run())
        await asyncio.sleep(0)
        assert sum(each.is_running for each in slow) == 8

        others = [Dripping(budget, f"{name}.example") for name in ("one", "two", "two", "two")]
        for each in others:
            tasks.start(each.run())
        for _ in range(1000):
            if all(each.is_running for each in others):
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # the shares stay as they are
        assert [each.is_running for each in others] == [True] * 4
        assert sum(each.is_running for each in slow) == 4
        assert sum(each.pauses for each in (*slow, *others)) == 4


async def test_one_connection_is_not_passed_back_and_forth() -> None:
    """A download that is read is not paused if another upstream would then have more."""
    budget = DownloadBudget(MIB, 1)
    async with Tasks() as tasks:
        both = [Dripping(budget, name) for name in ("one.example", "two.example")]
        for each in both:
            tasks.start(each.run())
        await asyncio.sleep(0.1)
    assert [each.pauses for each in both] == [0, 0]


def test_the_upstream_with_fewer_connections_comes_first() -> None:
    """A connection that is free goes to another upstream than most of the others."""
    budget = DownloadBudget(MIB, 2)
    first, second, third = (Reader(budget).turn for _ in range(3))
    other = Reader(budget, upstream="quay.io").turn
    assert [each.begin() for each in (first, second, third, other)] == [True, True, False, False]
    second.end()
    assert [third.begin(), other.begin()] == [False, True]


def test_too_many_that_nobody_reads_are_superfluous() -> None:
    """The number of those that wait is bounded, and nobody who reads counts as one too many."""
    budget = DownloadBudget(MIB, 1)
    Reader(budget).turn.begin()
    left = [Reader(budget, is_there=False) for _ in range(MOST_WAITING + 1)]
    for each in left:
        each.turn.begin()
    assert left[-1].turn.is_superfluous
    left[-1].is_there = True
    assert not left[-1].turn.is_superfluous


async def test_several_connections_only_from_the_first_ones() -> None:
    """With a spread of 4, two downloads have two connections each, and three have one each."""
    budget = DownloadBudget(64 * MIB, 64, spread=4)
    turns = [budget.open_turn(lambda: True, 4, "docker.io") for _ in range(3)]

    assert turns[0].begin()
    assert turns[1].begin()
    assert turns[0].take(MIB, MIB, 1)
    assert not turns[0].take(MIB, MIB, 2)
    assert turns[2].begin()
    assert not turns[1].take(MIB, MIB, 1)


async def test_threads_are_shared() -> None:
    """The more downloads run, the sooner a thread of each makes place for others."""
    budget = DownloadBudget(64 * MIB, 64)
    turns = [budget.open_turn(lambda: True, 1, "docker.io") for _ in range(64)]
    times = []
    for turn in turns:
        assert turn.begin()
        times.append(turn.find_thread_time())
    assert times[0] == THREAD_TIME
    assert times[1] == THREAD_TIME / 2
    assert times[-1] == LEAST_THREAD_TIME
