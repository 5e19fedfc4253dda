"""What the processes do: a worker answers pulls, the steward shows how things are."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from registry.api.access_log import AccessLog
from registry.api.middleware import Middleware
from registry.api.repeated_answers import (
    KEEP_ALIVE,
    MAX_REPEATING,
    ReplayingProtocol,
    ResponseCache,
)
from registry.api.routes import PullApi
from registry.console.probes import build_console
from registry.content.maintenance import Maintenance
from registry.metrics import Metrics, reserve_files
from registry.mirror.mirror import Mirror
from registry.server.heartbeats import INTERVAL, Heartbeats
from registry.server.shared import BACKGROUND, BACKLOG, DRAIN, SharedResources, load_tls
from registry.tasks import Tasks
from registry.wiring.content import open_content, open_handles
from registry.wiring.pulls import open_services

YIELD_SECONDS = 0.002  # seconds a busier worker leaves a new connection to the others
DESCRIPTOR_WAIT = 0.5  # seconds to wait for descriptors when there are none left
LAST_REQUEST_WAIT = 0.25  # seconds in which a connection accepted last may still bring its request
READ_BUFFER = 64 * 1024  # bytes read from a client at a time


def recover(shared: SharedResources) -> None:
    """Make a lost catalog again, before anybody forks or is served.

    Raises:
        StoreError: the disk or the catalog refused.
    """
    asyncio.run(_recover(shared))


async def _recover(shared: SharedResources) -> None:
    async with open_content(shared.settings, is_lost=True) as content:
        await content.rebuild.recover(time.time())
    shared.folder.lost.unlink()


@dataclass(frozen=True, slots=True)
class Service:
    """What a server does: workers answer from what they `open`, one process maintains it.

    `maintain` goes on until it is cancelled.
    """

    open: Callable[[SharedResources, Metrics], AbstractAsyncContextManager[Mirror]]
    maintain: Callable[[SharedResources, Metrics], Coroutine[Any, Any, None]]


async def run_child(trade: Service, shared: SharedResources, number: int) -> None:
    """Be worker `number`, or the steward, until told to stop."""
    if number == BACKGROUND:
        shared.pulls.close()  # held open here, it would keep clients waiting when all else drains
        await run_background(trade, shared)
    else:
        shared.console.close()
        await run_worker(trade, shared, number)


async def run_worker(trade: Service, shared: SharedResources, number: int) -> None:
    """Answer pulls until told to stop.

    Raises:
        Exception: whatever ended the accepting; a worker that only beats is of no use.
    """
    async with AsyncExitStack() as stack:
        metrics = _open_metrics(shared)
        mirror = await stack.enter_async_context(trade.open(shared, metrics))
        reporter = AccessLog(metrics)
        middleware = Middleware(reporter, PullApi(mirror).answer)
        runner = await _open_api(stack, middleware)
        # They outlive the accepting, so that nobody who was accepted is turned away.
        handshakes = await stack.enter_async_context(Tasks())
        door = _Listener(runner, ResponseCache(reporter), shared, handshakes)
        tasks = await stack.enter_async_context(Tasks())
        accepting = tasks.start(_keep_accepting(door, shared.heartbeats, number))
        tasks.start(_keep_beating(shared.heartbeats, number))
        ending = tasks.start(_wait_for_end(shared.lifeline))
        await asyncio.wait([accepting, ending], return_when=asyncio.FIRST_COMPLETED)
        if accepting.done():
            accepting.result()
        accepting.cancel()
        await asyncio.wait([accepting])
        door.close()
        # Clients that were accepted just now have not yet said what they want; cleaning up at once
        # would close their connections unanswered.
        await asyncio.sleep(LAST_REQUEST_WAIT)


def _open_metrics(shared: SharedResources) -> Metrics:
    try:
        reserve_files(shared.metrics)
    except OSError as error:
        log = structlog.get_logger("registry.server.worker")
        log.warning("counting unseen", folder=str(shared.metrics), why=error.strerror)
    return Metrics()


class _Listener:
    """Lets clients in from the socket that all workers share."""

    def __init__(
        self,
        runner: web.ServerRunner,
        replays: ResponseCache,
        shared: SharedResources,
        handshakes: Tasks,
    ) -> None:
        if runner.server is None:
            raise RuntimeError("the runner has to be set up before")
        self.pulls = shared.pulls
        self._server = runner.server
        self._replays = replays
        self._read_buffer = memoryview(bytearray(READ_BUFFER))
        self._tls = load_tls(shared.settings.server)
        self._handshakes = handshakes

    def count_inside(self) -> int:
        return len(self._server.connections)

    def accept(self) -> None:
        """Let one client in.

        Raises:
            BlockingIOError: nobody is there.
            OSError: there are no descriptors left, say.
        """
        connection, _ = self.pulls.accept()
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        # In a task of its own: a slow TLS handshake must not keep the next client waiting.
        self._handshakes.start(
            loop.connect_accepted_socket(self._make_protocol, connection, ssl=self._tls)
        )

    def _make_protocol(self) -> ReplayingProtocol:
        return ReplayingProtocol(self._server(), self._replays, self._read_buffer)

    def close(self) -> None:
        """Let in those who wait already; whoever comes later is refused by the kernel at once.

        That is, when the other processes close theirs as well: else the others let them in.
        """
        with suppress(OSError):
            for _ in range(BACKLOG):
                self.accept()
        self.pulls.close()


async def _keep_accepting(door: _Listener, heartbeats: Heartbeats, number: int) -> None:
    """Accept from the socket that all workers share, so that each gets its share of a crowd.

    asyncio's own server takes all that wait in one turn of the loop, so the worker that wakes
    first would serve the whole crowd. Here whoever has more connections than another worker lets
    that one go first, for a moment only: it may be stuck.
    """
    while True:
        await _wait_readable(door.pulls)
        heartbeats.carry(number, door.count_inside())
        if heartbeats.is_ahead(number):
            await asyncio.sleep(YIELD_SECONDS)
        try:
            door.accept()
        except BlockingIOError:  # another worker took it
            continue
        except OSError:  # out of descriptors, say: those who leave will free some
            await asyncio.sleep(DESCRIPTOR_WAIT)


async def _wait_readable(listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(listening, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(listening)


async def run_background(trade: Service, shared: SharedResources) -> None:
    """Show people and probes how things are, until told to stop."""

    def find_trouble() -> str:
        if not os.access(shared.folder.root, os.W_OK):
            return f"{shared.folder.root} cannot be written"
        return "" if shared.heartbeats.count_living() else "no pull worker answers"

    async with AsyncExitStack() as stack:
        console = build_console(find_trouble, _collect_all)
        runner = web.AppRunner(console, access_log=None, shutdown_timeout=DRAIN / 2)
        await _open_runner(stack, runner)
        await web.SockSite(runner, shared.console, backlog=BACKLOG).start()
        metrics = _open_metrics(shared)
        tasks = await stack.enter_async_context(Tasks())
        maintaining = tasks.start(trade.maintain(shared, metrics))
        ending = tasks.start(_wait_for_end(shared.lifeline))
        await asyncio.wait([maintaining, ending], return_when=asyncio.FIRST_COMPLETED)
        if maintaining.done():
            maintaining.result()  # whatever it died of: a steward that does not tend is of no use


def _open_mirror(shared: SharedResources, metrics: Metrics) -> AbstractAsyncContextManager[Mirror]:
    return open_services(shared.settings, open_handles(shared.folder), metrics)


async def _maintain_store(shared: SharedResources, metrics: Metrics) -> None:
    async with open_content(shared.settings, metrics) as content:
        rate = shared.settings.storage.audit_rate
        await Maintenance(
            content.space, content.expiry, content.pull_history, content.audit, rate
        ).keep_tidy()


MIRROR = Service(_open_mirror, _maintain_store)


def _collect_all() -> CollectorRegistry:
    collected = CollectorRegistry()
    MultiProcessCollector(collected)  # type: ignore[no-untyped-call]
    return collected


async def _open_api(stack: AsyncExitStack, middleware: Middleware) -> web.ServerRunner:
    server = web.Server(
        middleware.answer,
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=KEEP_ALIVE + MAX_REPEATING,
    )
    # aiohttp waits that long twice: for the answers, then for them again after it has cut off what
    # their requests still bring, which for pulls is nothing.
    runner = web.ServerRunner(server, shutdown_timeout=DRAIN / 2)
    await _open_runner(stack, runner)
    return runner


async def _open_runner(stack: AsyncExitStack, runner: web.BaseRunner) -> None:
    await runner.setup()
    stack.push_async_callback(runner.cleanup)


async def _keep_beating(heartbeats: Heartbeats, number: int) -> None:
    while True:
        heartbeats.beat(number)
        await asyncio.sleep(INTERVAL)


async def _wait_for_end(lifeline: int) -> None:
    """Return on SIGTERM or SIGINT, or when the supervisor is gone."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    loop.add_reader(lifeline, end.set)
    await end.wait()
    loop.remove_reader(lifeline)
