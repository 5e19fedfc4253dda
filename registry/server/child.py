"""Steps that all children of the supervisor share: metrics, a server, beats, the end."""

import asyncio
import signal
from contextlib import AsyncExitStack

from aiohttp import web

from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.server.heartbeats import Heartbeats
from registry.server.shared import SharedResources
from registry.store.signs_of_life import INTERVAL


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


async def keep_beating(heartbeats: Heartbeats, number: int) -> None:
    """Beat until cancelled; the supervisor kills and replaces a process that does not beat."""
    while True:
        heartbeats.beat(number)
        await asyncio.sleep(INTERVAL)


async def wait_for_end(supervisor_pipe: int) -> None:
    """Return on SIGTERM or SIGINT, or when the supervisor has ended."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    loop.add_reader(supervisor_pipe, end.set)
    await end.wait()
    loop.remove_reader(supervisor_pipe)
