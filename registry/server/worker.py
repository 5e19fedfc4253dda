"""A pull worker: it answers clients on the socket that all workers share."""

import asyncio
import math
from contextlib import AsyncExitStack
from functools import partial

from aiohttp import web

from registry.api.access_log import AccessLog, NoteVisit
from registry.api.admission import Admission
from registry.api.connection import ClientServer
from registry.api.middleware import Middleware
from registry.api.open_requests import OpenRequests
from registry.api.probes import Probes
from registry.api.repeated_answers import ResponseCache
from registry.api.routes import PullApi
from registry.metrics.process_metrics import Metrics
from registry.server.child import (
    keep_beating,
    open_metrics,
    open_runner,
    wait_for_end,
    watch_process,
)
from registry.server.connections import Connections
from registry.server.front_page import make_front_page
from registry.server.listener import Listener
from registry.server.loop_errors import limit_reports
from registry.server.shared import DRAIN, SharedResources
from registry.settings.client_networks import find_network
from registry.tasks import Tasks
from registry.wiring.access import (
    build_access,
    build_proxies,
    build_show_address,
    open_records,
    open_uses,
)
from registry.wiring.services import Service

LAST_REQUEST_WAIT = 0.25  # seconds that the last accepted clients have to send a request


async def run_worker(service: Service, shared: SharedResources, number: int) -> None:
    """Answer pulls as worker `number` until the process has to stop.

    Raises:
        Exception: the error that ended the accepting of clients; the process then ends too.
    """
    shared.console.close()
    limit_reports(asyncio.get_running_loop())
    async with AsyncExitStack() as stack:
        metrics = open_metrics(stack, shared)
        mirror = await stack.enter_async_context(
            service.open_mirror(shared.settings, shared.folder, metrics)
        )
        access_log = await _open_log(stack, shared, metrics, mirror.visits.prepare)
        proxies, show_address = build_proxies(shared.settings), access_log.show_address
        probes = _find_probes(shared, number, access_log)
        admission, page = _admit(shared, metrics), make_front_page(shared)
        api = PullApi(mirror, admission, show_address, page, probes)
        most = shared.settings.limits.requests_per_address
        open_requests = OpenRequests(most, metrics, find_network, show_address)
        note_probe = None if probes is None else probes.note
        middleware = Middleware(access_log, api.answer, proxies, open_requests, note_probe)
        # `Connections` closes those without requests: aiohttp knows of no repeated answers.
        server = ClientServer(middleware.answer, access_log.write_refusal, keep_alive=math.inf)
        # aiohttp waits twice for `shutdown_timeout`: for the answers, and again after it has cut
        # off the request bodies, which pulls do not have.
        await open_runner(stack, web.ServerRunner(server, shutdown_timeout=DRAIN / 2))
        # Opened before the tasks below, so closed after them: every accepted client is served.
        opening = await stack.enter_async_context(Tasks())
        limits, note = shared.settings.limits, partial(shared.heartbeats.set_load, number)
        connections = Connections(limits, metrics, note, proxies.trusts, show_address)
        listener = Listener(
            server,
            ResponseCache(access_log, open_requests=open_requests),
            shared.pulls,
            tls=shared.tls,
            connections=connections,
            tasks=opening,
        )
        stack.callback(listener.close_silent)
        tasks = await stack.enter_async_context(Tasks())
        accepting = tasks.start(listener.keep_accepting(shared.heartbeats, number))
        sweeping = tasks.start(connections.keep_sweeping())
        noting = watch_process(shared, number, metrics, mirror.blobs.count_readers)
        tasks.start(keep_beating(shared.heartbeats, number, noting))
        ending = tasks.start(wait_for_end(shared.supervisor_pipe))
        await _wait_for_first(ending, accepting, sweeping)
        await _stop_accepting(accepting, listener)


def _find_probes(shared: SharedResources, number: int, access_log: AccessLog) -> Probes | None:
    """Return what notes probes as worker `number`, and tells who has asked for them."""
    return Probes(shared.probes.of(number), access_log.show_address) if shared.probes else None


async def _wait_for_first(ending: asyncio.Task[None], *working: asyncio.Task[None]) -> None:
    """Wait until one of these tasks has ended; raise what has ended one that works."""
    await asyncio.wait([*working, ending], return_when=asyncio.FIRST_COMPLETED)
    for task in working:
        if task.done():
            task.result()


async def _stop_accepting(accepting: asyncio.Task[None], listener: Listener) -> None:
    accepting.cancel()
    await asyncio.wait([accepting])
    listener.close()
    # Clients that were just accepted have not sent their requests yet; their connections must not
    # be closed without an answer.
    await asyncio.sleep(LAST_REQUEST_WAIT)


async def _open_log(
    stack: AsyncExitStack, shared: SharedResources, metrics: Metrics, note_visit: NoteVisit
) -> AccessLog:
    """Open the access log and the records, which `stack` closes after the server."""
    settings = shared.settings
    # Opened before the records, so closed after them: the last ones say who has pulled too.
    uses = await stack.enter_async_context(open_uses(settings, shared.folder))
    note_use = None if uses is None else uses.note
    records = await stack.enter_async_context(
        open_records(settings, shared.folder, metrics, note_use)
    )
    return AccessLog(metrics, build_show_address(settings), records, note_use, note_visit)


def _admit(shared: SharedResources, metrics: Metrics) -> Admission | None:
    """Return what decides who is let through; None if that is everybody."""
    if shared.settings.access.mode == "open":
        return None
    access = build_access(shared.settings, shared.folder, metrics)
    return Admission(access.control, access.rules, access.challenges)
