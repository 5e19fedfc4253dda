"""The background process: it serves the console and maintains the data folder."""

import asyncio
import os
from contextlib import AsyncExitStack
from functools import partial

from aiohttp import web

from registry.console.probes import build_console
from registry.metrics import collect
from registry.server.child import open_metrics, open_runner, wait_for_end
from registry.server.listener import BACKLOG
from registry.server.shared import DRAIN, SharedResources
from registry.tasks import Tasks
from registry.wiring.services import Service


async def run_background(service: Service, shared: SharedResources) -> None:
    """Serve console and probes, and maintain the data folder, until the process has to stop.

    Raises:
        Exception: the error that ended the maintenance; the supervisor then starts a new process.
    """
    # If it stayed open here, new clients would wait in its queue while the workers drain.
    shared.pulls.close()
    async with AsyncExitStack() as stack:
        console = build_console(partial(_find_trouble, shared), partial(collect, shared.metrics))
        runner = web.AppRunner(console, access_log=None, shutdown_timeout=DRAIN / 2)
        await open_runner(stack, runner)
        await web.SockSite(runner, shared.console, backlog=BACKLOG).start()
        metrics = open_metrics(stack, shared)
        tasks = await stack.enter_async_context(Tasks())
        maintaining = tasks.start(service.maintain(shared.settings, shared.folder, metrics))
        ending = tasks.start(wait_for_end(shared.supervisor_pipe))
        await asyncio.wait([maintaining, ending], return_when=asyncio.FIRST_COMPLETED)
        if maintaining.done():
            maintaining.result()


def _find_trouble(shared: SharedResources) -> str:
    """Return why pulls cannot be answered; empty when they can."""
    if not os.access(shared.folder.root, os.W_OK):
        return f"{shared.folder.root} cannot be written"
    return "" if shared.heartbeats.count_living() else "no pull worker answers"
