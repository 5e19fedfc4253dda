"""What every child of the supervisor does: open its metrics, run a server, wait for the end."""

import asyncio
import signal
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from registry.metrics import Metrics
from registry.server.shared import SharedResources


def open_metrics(stack: AsyncExitStack, shared: SharedResources) -> Metrics:
    """Open the metrics of this process; `stack` closes them. On a full disk: log, use memory."""
    try:
        return stack.enter_context(Metrics.open(shared.metrics))
    except OSError as error:
        log = structlog.get_logger("registry.server.worker")
        log.warning("metrics not written", folder=str(shared.metrics), why=error.strerror)
        return Metrics()


async def open_runner(stack: AsyncExitStack, runner: web.BaseRunner) -> None:
    """Set up a server; `stack` cleans it up, which waits for running answers."""
    await runner.setup()
    stack.push_async_callback(runner.cleanup)


async def wait_for_end(lifeline: int) -> None:
    """Return on SIGTERM or SIGINT, or when the supervisor is gone."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    loop.add_reader(lifeline, end.set)
    await end.wait()
    loop.remove_reader(lifeline)
