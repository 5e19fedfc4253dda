"""Laws of tasks that outlive their callers, and of work in threads."""

import asyncio
import gc
import threading

import pytest
from structlog.testing import capture_logs

from registry.tasks import Tasks, Waiters, in_thread


async def wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_task_goes_on_without_its_caller() -> None:
    """A task goes on when a caller that awaits it is cancelled."""
    may_end = asyncio.Event()
    async with Tasks() as tasks:
        work = tasks.start(may_end.wait())
        asker = asyncio.create_task(asyncio.wait([work]))
        await asyncio.sleep(0)
        asker.cancel()
        await asyncio.gather(asker, return_exceptions=True)

        may_end.set()
        assert await work


async def test_the_end_of_the_block_ends_all_tasks() -> None:
    """At the end of the block, all tasks are cancelled and have ended."""
    ended = []

    async def work() -> None:
        try:
            await wait_for_ever()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    async with Tasks() as tasks:
        tasks.start(work())
        tasks.start(work())
        await asyncio.sleep(0)

    assert ended == [True, True]


async def test_failure_that_nobody_awaits_is_quiet() -> None:
    """An exception is raised for callers that await the task, and is not logged."""
    noise: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))

    async def fail() -> None:
        raise ValueError("nobody asks")

    async with Tasks() as tasks:
        task = tasks.start(fail())
        await asyncio.wait([task])
        with pytest.raises(ValueError, match="nobody asks"):
            task.result()
    del task
    assert noise == []


async def test_thread_gives_its_result() -> None:
    """The result or exception of work in a thread comes back."""
    assert await in_thread(int, "7") == 7
    with pytest.raises(ValueError, match="seven"):
        await in_thread(int, "seven")


async def test_failure_in_the_thread_of_a_cancelled_caller_is_quiet() -> None:
    """The caller gets its cancellation, and asyncio does not log the exception of the thread."""
    noise: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(10)
        raise ValueError("the pipe ended")

    waiter = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait, 10)
    waiter.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    del waiter
    await asyncio.sleep(0)  # the event loop holds the task until then
    gc.collect()
    assert noise == []


async def test_a_task_that_should_not_end_is_logged_if_it_fails() -> None:
    """One that is cancelled is not."""

    async def fail() -> None:
        raise KeyError("odd")

    with capture_logs() as logs:
        async with Tasks() as tasks:
            tasks.keep(fail())
            tasks.keep(wait_for_ever())
            await asyncio.sleep(0.01)

    (line,) = logs
    assert line["log_level"] == "error"
    assert isinstance(line["exc_info"], KeyError)


async def test_cancelled_waiter_stays_for_its_thread() -> None:
    """A cancelled caller waits for the end of its thread, however often it is cancelled."""
    begun, may_end, done = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        may_end.wait(10)
        done.append(True)

    waiter = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(3):  # the first cancellation, and others while it waits
        waiter.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiter.done()

    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert done == [True]


async def test_an_ended_task_is_not_shared() -> None:
    """Whoever asks right after a shared task has ended starts a new one."""
    runs: list[int] = []

    async def work() -> None:
        runs.append(len(runs))

    async with Tasks() as tasks:
        first = tasks.share("key", work)
        asyncio.get_running_loop().call_soon(lambda: tasks.share("key", work))
        await asyncio.sleep(0)  # the task ends in this turn, before the call
        assert first.done()
        await asyncio.sleep(0)
        assert runs == [0, 1]
        await asyncio.sleep(0)
        assert not tasks.is_running("key")


async def wait_once(waiters: Waiters, given_back: list[str], name: str = "it") -> bool:
    return await waiters.wait(waiters.join(), 30.0, lambda: given_back.append(name))


async def test_the_oldest_waiter_goes_on_first() -> None:
    """Those that wait go on in the order in which they came, one at a time."""
    waiters = Waiters()
    first, second = [asyncio.create_task(wait_once(waiters, [])) for _ in range(2)]
    await asyncio.sleep(0)

    waiters.let_go()
    assert await first
    assert not second.done()
    waiters.let_go()
    assert await second
    assert len(waiters) == 0


async def test_a_waiter_without_a_turn_gives_up() -> None:
    """It waits as long as it was told, and is none of those that wait any more."""
    waiters, given_back = Waiters(), []

    assert not await waiters.wait(waiters.join(), 0.01, lambda: given_back.append("it"))
    assert (len(waiters), given_back) == (0, [])


@pytest.mark.parametrize(("has_turn", "expected"), [(True, ["it"]), (False, [])])
async def test_the_turn_of_a_cancelled_waiter_is_given_back(
    expected: list[str], *, has_turn: bool
) -> None:
    """If the turn comes in the moment when its waiter is cancelled, another one needs it."""
    waiters, given_back = Waiters(), []
    task = asyncio.create_task(wait_once(waiters, given_back))
    await asyncio.sleep(0)

    if has_turn:
        waiters.let_go()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert given_back == expected
    assert len(waiters) == 0
