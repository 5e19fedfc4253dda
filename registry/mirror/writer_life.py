"""Signs of life of the process that writes a download, for those that follow it (record 0029)."""

import asyncio
from collections.abc import Callable

from registry.content.ingest import Ingest
from registry.store.signs_of_life import INTERVAL, WRITER_SILENCE
from registry.tasks import Tasks


async def show_life(ingest: Ingest, tasks: Tasks, give_up: Callable[[], None]) -> None:
    """Show until cancelled that the writer of `ingest` is alive; `tasks` runs each sign.

    If the disk does not answer, this ends and calls `give_up`: nobody should wait for the writer.
    """
    while True:
        await asyncio.sleep(INTERVAL)
        sign = tasks.start(ingest.show_life())
        await asyncio.wait([sign], timeout=WRITER_SILENCE)
        if not sign.done() or not sign.result():
            give_up()
            return
