"""How long requests wait for an upstream that does not answer."""

import asyncio
from collections.abc import Callable

import pytest

from registry.errors import (
    ManifestUnknown,
    StoreError,
    UpstreamDenied,
    UpstreamError,
    UpstreamUnreachable,
)
from registry.mirror.outages import Outages
from registry.mirror.upstream_waits import SHORT_WAIT, SLOW_FOR, UpstreamWaits
from registry.oci.names import Repository
from registry.upstream.contract import Fallback
from registry.upstream.failures import EndpointSuspended, NoConnection

HERE = Repository("docker.io", "library/thing")
NOW = 1000.0


class Question:
    """A question to the upstream; a test gives its answer."""

    def __init__(
        self,
        waits: UpstreamWaits,
        *,
        is_long: bool = False,
        was_asked: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._ask())
        waits.watch(HERE, self.task, is_long=is_long, was_asked=was_asked)

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


def make_waits(outages: Outages | None = None, known_wait: float = 0.2) -> UpstreamWaits:
    return UpstreamWaits(lambda: NOW, outages or Outages(), known_wait, empty_wait=0.6)


async def measure_wait(
    waits: UpstreamWaits, fallback: Fallback = Fallback.KNOWN, *, is_left: bool = False
) -> float:
    """Return how long a request waits for an upstream that never answers.

    With `is_left`, the question goes on after that.
    """
    question = Question(waits)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(UpstreamError):
        await waits.wait(HERE, question.task, fallback)
    waited = loop.time() - began
    if not is_left:
        question.task.cancel()
    return waited


async def test_answer_ends_the_wait() -> None:
    """An answer within the time is returned by the task."""
    waits = make_waits()
    question = Question(waits)
    asyncio.get_running_loop().call_soon(question._answer.set_result, "it")

    await waits.wait(HERE, question.task, Fallback.KNOWN)

    assert question.task.result() == "it"


async def test_only_the_first_request_waits() -> None:
    """After one request waited in vain, the others do not wait, until the upstream answers.

    After `SLOW_FOR` they wait shortly, so that an upstream that is back is noticed.
    """
    now = NOW
    waits = UpstreamWaits(lambda: now, Outages(), known_wait=0.4)

    assert await measure_wait(waits) >= 0.4
    assert await measure_wait(waits) < 0.1
    now += SLOW_FOR
    assert SHORT_WAIT <= await measure_wait(waits) < 0.4


async def test_what_is_not_known_is_waited_for_shortly() -> None:
    """While the upstream is slow, "nothing is known" is the answer after `SHORT_WAIT`, not at once.

    The upstream may be well: then a signature would be hidden for nothing.
    """
    waits = make_waits()
    assert await measure_wait(waits, Fallback.EMPTY) >= 0.6

    assert SHORT_WAIT <= await measure_wait(waits, Fallback.EMPTY) < 0.6
    question = Question(waits)
    asyncio.get_running_loop().call_later(0.05, question._answer.set_result, "it")
    await waits.wait(HERE, question.task, Fallback.EMPTY)

    assert question.task.result() == "it"


async def test_long_list_makes_no_upstream_slow() -> None:
    """The tags of a large repository take many requests, although each is answered at once."""
    waits = make_waits()
    question = Question(waits, is_long=True)
    with pytest.raises(UpstreamError):
        await waits.wait(HERE, question.task, Fallback.KNOWN, is_long=True)
    await question.end(UpstreamUnreachable("o", "no endpoint answered within 25 s"))

    assert await measure_wait(waits) >= 0.2


async def test_other_upstreams_are_waited_for() -> None:
    """A slow upstream does not change the wait for another one."""
    waits = make_waits()
    await measure_wait(waits)
    question = Question(waits)
    asyncio.get_running_loop().call_later(0.01, question._answer.set_result, "it")

    await waits.wait(Repository("ghcr.io", "a/b"), question.task, Fallback.KNOWN)

    assert question.task.result() == "it"


@pytest.mark.parametrize(
    "answer", ["it", ManifestUnknown("a", "b"), UpstreamDenied("o", "refuses access")]
)
async def test_any_clear_answer_ends_the_slowness(answer: str | Exception) -> None:
    """Once the upstream answers any question, requests wait for it again."""
    waits = make_waits()
    question = Question(waits)
    with pytest.raises(UpstreamError):
        await waits.wait(HERE, question.task, Fallback.KNOWN)

    await question.end(answer)

    assert await measure_wait(waits) >= 0.2


async def test_failure_makes_the_others_not_wait() -> None:
    """After a question failed, the next requests do not wait for another failure."""
    waits = make_waits()
    await Question(waits).end(UpstreamUnreachable("o", "answers 503"))

    assert await measure_wait(waits) < 0.1


async def test_workers_share_what_they_know() -> None:
    """What one worker learned of an upstream is true for all: a failure, and an answer after it."""
    outages = Outages()
    first, second = make_waits(outages), make_waits(outages)
    await Question(first).end(UpstreamUnreachable("o", "answers 503"))

    assert await measure_wait(second) < 0.1
    await Question(second).end("it")
    assert await measure_wait(first) >= 0.2


async def test_open_breaker_of_one_worker_is_no_news() -> None:
    """Another worker may have had an answer since the breaker opened."""
    waits = make_waits()
    await Question(waits).end(EndpointSuspended("o", "it is not asked again yet"))

    assert await measure_wait(waits) >= 0.2


async def test_request_that_waits_learns_from_others() -> None:
    """A request that waits for an upstream ends early when another one finds that it is down."""
    waits = make_waits()
    loop = asyncio.get_running_loop()
    failing = Question(waits)
    loop.call_later(0.05, failing._answer.set_exception, UpstreamUnreachable("o", "answers 503"))

    assert await measure_wait(waits, Fallback.EMPTY) < 0.6


async def test_silence_is_noticed_although_no_client_waits() -> None:
    """With `tags.wait_for = "0s"` too, what is not known is not waited for in vain for long."""
    waits = make_waits(known_wait=0.0)
    assert await measure_wait(waits, is_left=True) < 0.1

    assert await measure_wait(waits, Fallback.EMPTY) < 0.6
    assert await measure_wait(waits, Fallback.EMPTY) >= SHORT_WAIT


OTHER = Repository("docker.io", "library/other")
DOWN = UpstreamUnreachable("o", "answers 503")


async def wait_for_other(waits: UpstreamWaits) -> float:
    """Return how long a request for another repository of the upstream waits."""
    silent = asyncio.create_task(asyncio.sleep(60))
    began = asyncio.get_running_loop().time()
    with pytest.raises(UpstreamError):
        await waits.wait(OTHER, silent, Fallback.KNOWN)
    silent.cancel()
    return asyncio.get_running_loop().time() - began


async def test_broken_repository_makes_no_upstream_slow() -> None:
    """A client that asks again and again for what is broken does not change the wait of others."""
    waits = make_waits()
    for _ in range(5):
        await Question(waits).end(DOWN)

    assert await wait_for_other(waits) >= 0.2


async def test_upstream_is_down_when_two_repositories_failed() -> None:
    """If two repositories failed, and none was answered in between, a third is not waited for."""
    outages = Outages()
    waits = make_waits(outages)
    await Question(waits).end(DOWN)
    outages.begin(Repository("docker.io", "library/third"), NOW)

    assert await wait_for_other(waits) < 0.1


async def test_upstream_without_a_connection_is_down() -> None:
    """If there is no connection, all repositories of the upstream are concerned."""
    waits = make_waits()
    await Question(waits).end(NoConnection("o", "cannot be reached"))

    assert await wait_for_other(waits) < 0.1


@pytest.mark.parametrize(
    "ending", [StoreError("catalog.db", "full"), RuntimeError("a mistake"), "found without asking"]
)
async def test_who_asked_nobody_ends_no_outage(ending: str | Exception) -> None:
    """An error of the disk, or what another process has just stored, is no answer of an upstream.

    A result for which the upstream was asked is.
    """
    outages = Outages()
    waits = make_waits(outages)
    outages.begin(HERE, NOW)
    question = Question(waits, was_asked=lambda answer: answer != "found without asking")
    await question.end(ending)
    assert outages.find(HERE) == NOW

    question = Question(waits, was_asked=lambda answer: answer != "found without asking")
    await question.end("asked for")
    assert not outages.find(HERE)
