"""What the processes do: a worker answers pulls, the steward shows how things are."""

import asyncio
import os
import signal
import socket
import ssl
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from registry.api.routes import build_api
from registry.app import open_services
from registry.console.probes import build_console
from registry.errors import SettingsError
from registry.heartbeats import INTERVAL, Heartbeats
from registry.metrics import Metrics
from registry.mirror.tasks import Tasks
from registry.settings import ServerSettings, Settings
from registry.store.folder import DataFolder

BACKLOG = 1024  # connections the kernel keeps for us while we are busy
DRAIN = 25.0  # seconds that answers under way get after SIGTERM
COURTESY = 0.002  # seconds a busier worker leaves a new connection to the others
SCARCITY = 0.5  # seconds to wait for descriptors when there are none left
LAST_CALL = 0.25  # seconds in which a connection accepted last may still bring its request
IDLE = 75.0  # seconds an idle connection is kept


@dataclass(frozen=True, slots=True)
class Berth:
    """What the supervisor hands to a child: opened before, shared by all."""

    settings: Settings
    folder: DataFolder
    pulls: socket.socket
    console: socket.socket
    heartbeats: Heartbeats
    lifeline: int  # a pipe that ends when the supervisor does


def load_tls(server: ServerSettings) -> ssl.SSLContext | None:
    """Return the server's TLS context; None for plain HTTP.

    Raises:
        SettingsError: the certificate or key cannot be read.
    """
    if not server.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # The empty password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(server.tls_cert, server.tls_key, password="")
    except OSError as error:
        raise SettingsError(
            "server.tls_cert",
            f"{server.tls_cert} and {server.tls_key} cannot be used ({error.strerror or error})",
            "give a PEM certificate chain and its unencrypted key",
        ) from error
    return context


async def run_worker(berth: Berth, number: int) -> None:
    """Answer pulls until told to stop."""
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        mirror = await stack.enter_async_context(
            open_services(berth.settings, berth.folder, metrics)
        )
        app = build_api(mirror, metrics)
        runner = await _open_runner(stack, app)
        greetings = await stack.enter_async_context(Tasks())
        accepting = asyncio.create_task(_keep_accepting(runner, berth, number, greetings))
        stack.callback(accepting.cancel)
        beating = asyncio.create_task(_keep_beating(berth.heartbeats, number))
        stack.callback(beating.cancel)
        await _wait_for_end(berth.lifeline)
        accepting.cancel()
        # Clients that were accepted just now have not yet said what they want; cleaning up at once
        # would close their connections unanswered.
        await asyncio.sleep(LAST_CALL)


async def _keep_accepting(
    runner: web.AppRunner, berth: Berth, number: int, greetings: Tasks
) -> None:
    """Accept from the socket that all workers share, so that each gets its share of a crowd.

    asyncio's own server takes all that wait in one turn of the loop, so the worker that wakes
    first would serve the whole crowd. Here whoever has more connections than another worker lets
    that one go first, for a moment only: it may be stuck. The greetings outlive the accepting, so
    that nobody who was accepted is turned away.
    """
    loop = asyncio.get_running_loop()
    server = runner.server
    tls = load_tls(berth.settings.server)
    while server is not None:
        await _wait_readable(berth.pulls)
        berth.heartbeats.carry(number, len(server.connections))
        if berth.heartbeats.is_ahead(number):
            await asyncio.sleep(COURTESY)
        try:
            connection, _ = berth.pulls.accept()
        except BlockingIOError:  # another worker took it
            continue
        except OSError:  # out of descriptors, say: those who leave will free some
            await asyncio.sleep(SCARCITY)
            continue
        connection.setblocking(False)
        # In a task of its own: a slow TLS handshake must not keep the next client waiting.
        greetings.start(loop.connect_accepted_socket(server, connection, ssl=tls))


async def _wait_readable(listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(listening, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(listening)


async def run_steward(berth: Berth) -> None:
    """Show people and probes how things are, until told to stop."""

    def find_trouble() -> str:
        if not os.access(berth.folder.root, os.W_OK):
            return f"{berth.folder.root} cannot be written"
        return "" if berth.heartbeats.count_living() else "no pull worker answers"

    async with AsyncExitStack() as stack:
        runner = await _open_runner(stack, build_console(find_trouble, _collect_all))
        await web.SockSite(runner, berth.console, backlog=BACKLOG).start()
        await _wait_for_end(berth.lifeline)


def _collect_all() -> CollectorRegistry:
    collected = CollectorRegistry()
    MultiProcessCollector(collected)  # type: ignore[no-untyped-call]
    return collected


async def _open_runner(stack: AsyncExitStack, app: web.Application) -> web.AppRunner:
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=IDLE,
        shutdown_timeout=DRAIN,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


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
