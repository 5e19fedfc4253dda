"""How long requests wait for an upstream that does not answer."""

import asyncio

import pytest

from registry.errors import ManifestUnknown, UpstreamDenied, UpstreamError, UpstreamUnreachable
from registry.mirror.upstream_waits import SLOW_FOR, UpstreamWaits

HERE = "docker.io"


class Question:
    """A question to the upstream; a test gives its answer."""

    def __init__(self, waits: UpstreamWaits) -> None:
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._ask())
        waits.watch(HERE, self.task)

    async def _ask(self) -> str:
        return await self._answer

    async def end(self, answer: str | Exception) -> None:
        if isinstance(answer, Exception):
            self._answer.set_exception(answer)
        else:
            self._answer.set_result(answer)
        await asyncio.wait([self.task])
        self.task.exception()
        await asyncio.sleep(0)  # for the callbacks of the task


async def measure_wait(waits: UpstreamWaits, seconds: float) -> float:
    """Return how long a request waits for an upstream that never answers."""
    question = Question(waits)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(UpstreamError):
        await waits.wait(HERE, question.task, seconds)
    waited = loop.time() - began
    question.task.cancel()
    return waited


async def test_answer_ends_the_wait() -> None:
    """An answer within the time is returned by the task."""
    waits = UpstreamWaits(lambda: 0.0)
    question = Question(waits)
    asyncio.get_running_loop().call_soon(question._answer.set_result, "it")

    await waits.wait(HERE, question.task, 5.0)

    assert question.task.result() == "it"


async def test_only_the_first_request_waits() -> None:
    """After one request waited in vain, the others do not wait, until `SLOW_FOR` is over."""
    now = 0.0
    waits = UpstreamWaits(lambda: now)

    assert await measure_wait(waits, 0.2) >= 0.2
    assert await measure_wait(waits, 0.2) < 0.1
    now = SLOW_FOR
    assert await measure_wait(waits, 0.2) >= 0.2


async def test_other_upstreams_are_waited_for() -> None:
    """A slow upstream does not change the wait for another one."""
    waits = UpstreamWaits(lambda: 0.0)
    await measure_wait(waits, 0.01)
    question = Question(waits)
    asyncio.get_running_loop().call_later(0.01, question._answer.set_result, "it")

    await waits.wait("ghcr.io", question.task, 5.0)

    assert question.task.result() == "it"


@pytest.mark.parametrize(
    "answer", ["it", ManifestUnknown("a", "b"), UpstreamDenied("o", "refuses access")]
)
async def test_any_clear_answer_ends_the_slowness(answer: str | Exception) -> None:
    """Once the upstream answers any question, requests wait for it again."""
    waits = UpstreamWaits(lambda: 0.0)
    question = Question(waits)
    with pytest.raises(UpstreamError):
        await waits.wait(HERE, question.task, 0.01)

    await question.end(answer)

    assert await measure_wait(waits, 0.2) >= 0.2


async def test_failure_makes_the_others_not_wait() -> None:
    """After a question failed, the next requests do not wait for another failure."""
    waits = UpstreamWaits(lambda: 0.0)
    await Question(waits).end(UpstreamUnreachable("o", "answers 503"))

    assert await measure_wait(waits, 5.0) < 1.0
