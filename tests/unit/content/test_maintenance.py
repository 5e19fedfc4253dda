"""Laws of what the background process does at intervals; a refusing disk does not end it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from registry.content import maintenance as module
from registry.content.maintenance import (
    AUDIT_INTERVAL,
    CRASH_INTERVAL,
    HOUR,
    SPACE_INTERVAL,
    Maintenance,
)
from registry.errors import StoreError

RATE = 1000.0
END = 2 * HOUR  # seconds after which the loop of a test is stopped


class Parts:
    """The services that the background process uses; they count calls, and fail if a test wants."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.rates: list[float] = []
        self.failures: dict[str, list[BaseException]] = {}
        self.is_wanted = True
        self.due = True

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if self.failures.get(name):
            raise self.failures[name].pop(0)

    async def finish_interrupted(self) -> None:
        self._note("finish")

    async def keep_ready(self) -> None:
        self._note("ready")

    async def sweep(self) -> None:
        self._note("sweep")

    async def expire(self) -> None:
        self._note("expire")

    async def forget(self) -> None:
        self._note("forget")

    def is_due(self, auditor: str) -> bool:
        assert auditor == "steward"
        return self.due

    async def go_on(self, _auditor: str, *, rate: float) -> None:
        self.rates.append(rate)
        self._note("audit")


class Clock:
    """Sleeps that take no time; each task of the maintenance ends at `END`."""

    def __init__(self) -> None:
        self.naps: Counter[asyncio.Task[Any] | None] = Counter()

    async def sleep(self, seconds: float) -> None:
        task = asyncio.current_task()
        self.naps[task] += 1
        if self.naps[task] * seconds >= END:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    paced = SimpleNamespace(sleep=clock.sleep, TaskGroup=asyncio.TaskGroup)
    monkeypatch.setattr(module, "asyncio", paced)
    return clock


async def go_round(parts: Parts, clock: Clock, rate: float = RATE) -> None:
    """Run the maintenance until `END`."""
    background = Maintenance(parts, parts, parts, parts, rate)  # type: ignore[arg-type]
    keep: Callable[[], Coroutine[Any, Any, None]] = background.keep_tidy
    running = asyncio.create_task(keep())
    for _ in range(4000):
        await asyncio.sleep(0)
        if running.done():
            break
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_each_has_its_time(parts: Parts, clock: Clock) -> None:
    """Space is checked every few seconds, audits every minute, images and side files hourly."""
    await go_round(parts, clock)
    assert parts.calls.count("ready") == END / SPACE_INTERVAL
    assert parts.calls.count("audit") == END / AUDIT_INTERVAL
    assert parts.calls.count("expire") == END / HOUR
    assert parts.calls.count("forget") == parts.calls.count("sweep") == END / HOUR
    assert set(parts.rates) == {RATE}


async def test_what_the_dead_have_left_is_finished_first(parts: Parts, clock: Clock) -> None:
    """Interrupted work is completed before anything is evicted, and again later."""
    await go_round(parts, clock)
    assert parts.calls.count("finish") == END / CRASH_INTERVAL
    assert parts.calls.index("finish") < parts.calls.index("ready")


@pytest.mark.parametrize("what", ["finish", "ready", "sweep", "expire", "forget", "audit"])
async def test_a_refusing_disk_ends_no_round(parts: Parts, clock: Clock, what: str) -> None:
    """A failed step is logged and repeated later; the other steps go on."""
    parts.failures[what] = [StoreError("data", "full")]
    await go_round(parts, clock)
    expected = {
        "finish": END / CRASH_INTERVAL,
        "ready": END / SPACE_INTERVAL,
        "audit": END / AUDIT_INTERVAL,
    }
    expected |= dict.fromkeys(("sweep", "expire", "forget"), END / HOUR)
    assert {name: parts.calls.count(name) for name in expected} == expected


async def test_a_bug_is_no_refusal(parts: Parts, clock: Clock) -> None:
    """An error that is not of the disk ends the process, and the supervisor replaces it."""
    parts.failures["expire"] = [ZeroDivisionError()]
    background = Maintenance(parts, parts, parts, parts, RATE)  # type: ignore[arg-type]
    with pytest.raises(ExceptionGroup) as caught:
        await background.keep_tidy()
    assert caught.group_contains(ZeroDivisionError)


async def test_what_is_not_due_is_not_audited(parts: Parts, clock: Clock) -> None:
    """If no audit is due, nothing is read."""
    parts.due = False
    await go_round(parts, clock)
    assert "audit" not in parts.calls


async def test_what_is_not_wanted_is_not_done(parts: Parts, clock: Clock) -> None:
    """Without `keep_for` nothing expires; with a rate of 0 nothing is audited."""
    parts.is_wanted = False
    await go_round(parts, clock, rate=0.0)
    assert set(parts.calls) == {"finish", "ready", "sweep", "forget"}
