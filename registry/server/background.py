"""The background process: it serves the console and maintains the data folder."""

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from aiohttp import web

from registry.api.connection import ClientServer
from registry.api.headers import VERSION
from registry.console.probes import build_console
from registry.console.state import State
from registry.logs import get_logger
from registry.metrics.collection import ServerMetrics, collect
from registry.metrics.process_metrics import Metrics
from registry.server.child import (
    keep_beating,
    open_metrics,
    open_runner,
    wait_for_end,
    watch_process,
)
from registry.server.console_pages import ConsolePages
from registry.server.heartbeats import BACKGROUND, name_process
from registry.server.listener import BACKLOG
from registry.server.loop_errors import limit_reports
from registry.server.shared import DRAIN, SharedResources
from registry.server.tls import TLSFiles
from registry.tasks import Tasks, in_thread
from registry.wiring.access import build_expiry_watch, build_show_address
from registry.wiring.running_downloads import find_downloads
from registry.wiring.services import Service, find_no_problem

DISK_WAIT = 2.0  # seconds after which `/readyz` says that the disk does not answer
KEEP_ALIVE = 75.0  # seconds for which a connection to the console is kept without requests


async def run_background(service: Service, shared: SharedResources) -> None:
    """Serve console and probes, and maintain the data folder, until the process has to stop.

    Raises:
        Exception: the error that ended the maintenance; the supervisor then starts a new process.
    """
    # If it stayed open here, new clients would wait in its queue while the workers drain.
    address = shared.pulls.getsockname()[:2]
    shared.pulls.close()
    limit_reports(asyncio.get_running_loop())
    async with AsyncExitStack() as stack:
        counted = ServerMetrics(shared.metrics)
        checks = await stack.enter_async_context(Tasks())
        metrics = open_metrics(stack, shared)
        pages = _build_pages(service, shared, address, metrics, checks)
        if pages is not None:
            stack.push_async_callback(pages.close)
        files = TLSFiles.of(shared.settings)
        expiry = build_expiry_watch(*((files.servers, files.authorities) if files else ({}, {})))
        console = build_console(
            partial(find_trouble, shared, checks, service.find_problem),
            lambda: collect(counted, _measure(shared, expiry.list_ends())),
            {shared.settings.server.console.host, *shared.settings.server.console_hosts},
            None if pages is None else pages.answer,
        )
        await _open_console(stack, console, shared)
        if pages is not None:
            stack.callback(pages.end_answers)
        tasks = await stack.enter_async_context(Tasks())
        maintaining = tasks.start(
            service.maintain(shared.settings, shared.folder, metrics, shared.catalog)
        )
        noting = watch_process(shared, BACKGROUND, metrics)
        tasks.start(keep_beating(shared.heartbeats, BACKGROUND, noting))
        tasks.keep(expiry.keep_watching())
        ending = tasks.start(wait_for_end(shared.supervisor_pipe))
        await asyncio.wait([maintaining, ending], return_when=asyncio.FIRST_COMPLETED)
        if maintaining.done():
            maintaining.result()


def _build_pages(
    service: Service,
    shared: SharedResources,
    address: tuple[str, int],
    metrics: Metrics,
    checks: Tasks,
) -> ConsolePages | None:
    """Return the pages of a mirror that listens at `address`; None if this server has none."""
    if service.find_outage is None:
        return None
    find = partial(find_trouble, shared, checks, service.find_problem)
    return ConsolePages(shared, address, metrics, find, service.find_outage)


async def _open_console(
    stack: AsyncExitStack, console: web.Application, shared: SharedResources
) -> None:
    app = web.AppRunner(console)
    await open_runner(stack, app)
    inner = app.server
    if inner is None:
        raise RuntimeError("the console was not set up")
    # The same connections as those of clients, since they never quote a password.
    server = ClientServer(
        inner.request_handler,
        partial(_note_refusal, build_show_address(shared.settings)),
        keep_alive=KEEP_ALIVE,
        request_factory=inner.request_factory,
    )
    runner = web.ServerRunner(server, shutdown_timeout=DRAIN / 2)
    await open_runner(stack, runner)
    await web.SockSite(runner, shared.console, backlog=BACKLOG).start()


def _note_refusal(
    show_address: Callable[[str | None], str | None], client: str | None, _: web.Response, why: str
) -> None:
    log = get_logger("registry.server.background")
    log.info("console request refused", client=show_address(client), why=why)


def _measure(shared: SharedResources, certificates: tuple[tuple[str, float], ...]) -> State:
    root = shared.folder.root
    loads, vitals = shared.heartbeats.read_loads(), shared.heartbeats.read_vitals()
    running = find_downloads(root)
    return State(
        limit=shared.settings.storage.limit,
        free=shutil.disk_usage(root).free,
        downloads=len(running),
        version=VERSION,
        arrived=sum(each.arrived for each in running),
        readers=sum(each.readers for each in vitals.values()),
        connections=sum(load.connections for load in loads.values()),
        connection_limit=sum(load.connection_limit for load in loads.values()),
        workers=len(loads),
        replaced=shared.heartbeats.replaced,
        memory={name_process(number): each.memory for number, each in vitals.items()},
        open_files={name_process(number): each.descriptors for number, each in loads.items()},
        certificates=certificates,
        loading=shared.heartbeats.read_loading(),
    )


async def find_trouble(
    shared: SharedResources, checks: Tasks, find_problem: Callable[[], str] = find_no_problem
) -> str:
    """Return why some pulls cannot be answered; empty when all can.

    `find_problem` is that of the service; it may wait for a disk.
    """
    trouble = await _find_disk_trouble(shared.folder.root, checks, find_problem)
    if trouble:
        return trouble
    if not shared.heartbeats.list_living():
        return "no pull worker answers"
    silent = shared.heartbeats.list_silent()
    if silent:
        return "; ".join(f"worker {number} does not answer" for number in silent)
    return shared.heartbeats.explain_overload()


async def _find_disk_trouble(root: Path, checks: Tasks, find_problem: Callable[[], str]) -> str:
    # One thread for all probes: on a disk that does not answer, it waits until the disk does.
    writing = checks.share("disk", lambda: in_thread(os.access, root, os.W_OK))
    await asyncio.wait([writing], timeout=DISK_WAIT)
    if not writing.done():
        return f"{root} does not answer"
    if not writing.result():
        return f"{root} cannot be written"
    reading = checks.share("medium", lambda: in_thread(find_problem))
    await asyncio.wait([reading], timeout=DISK_WAIT)
    if not reading.done():
        return "the medium does not answer"
    return reading.result()
