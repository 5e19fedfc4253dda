"""Steps that all children of the supervisor share: metrics, a server, beats, the end."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

from aiohttp import web

from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.server.heartbeats import BACKGROUND, Heartbeats, Vitals
from registry.server.shared import SharedResources
from registry.store.signs_of_life import INTERVAL

_PAGE = os.sysconf("SC_PAGE_SIZE")


def open_metrics(stack: AsyncExitStack, shared: SharedResources) -> Metrics:
    """Open the metrics of this process, in memory if the disk is full; `stack` closes them."""
    try:
        return stack.enter_context(Metrics.open(shared.metrics))
    except OSError as error:
        log = get_logger("registry.server.worker")
        log.warning("metrics not written", folder=str(shared.metrics), why=error.strerror)
        return Metrics()


async def open_runner(stack: AsyncExitStack, runner: web.BaseRunner) -> None:
    """Set up a server; when `stack` closes it, running answers are completed first."""
    await runner.setup()
    stack.push_async_callback(runner.cleanup)


async def keep_beating(
    heartbeats: Heartbeats, number: int, note: Callable[[float], None] = lambda _: None
) -> None:
    """Beat until cancelled; the supervisor kills and replaces a process that does not beat.

    `note` is called after each beat, with how many seconds later than planned the next one is due.
    """
    loop = asyncio.get_running_loop()
    while True:
        heartbeats.beat(number)
        due = loop.time() + INTERVAL
        await asyncio.sleep(INTERVAL)
        note(max(0.0, loop.time() - due))


def watch_process(
    shared: SharedResources,
    number: int,
    metrics: Metrics,
    count_readers: Callable[[], int] = lambda: 0,
) -> Callable[[float], None]:
    """Return what notes, at each beat, how late the event loop is, and what the process uses.

    `count_readers` returns how many clients read its downloads.
    """
    kind = "background" if number == BACKGROUND else "worker"
    lag = metrics.loop_lag_seconds.labels(kind)

    def note(late: float) -> None:
        lag.observe(late)
        shared.heartbeats.set_vitals(number, Vitals(_measure_memory(), count_readers()))

    return note


def _measure_memory() -> int:
    """Return how many bytes of memory this process has, with those that it shares with others."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - once a second, in each process
        return int(file.read().split()[1]) * _PAGE


async def wait_for_end(supervisor_pipe: int) -> None:
    """Return on SIGTERM or SIGINT, or when the supervisor has ended."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    loop.add_reader(supervisor_pipe, end.set)
    await end.wait()
    loop.remove_reader(supervisor_pipe)
