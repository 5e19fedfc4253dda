"""Signs of life of the process that writes a blob, for those that wait for it (record 0029)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from registry.content.ingest import Ingest
from registry.content.sparse_ingest import SparseIngest
from registry.store.signs_of_life import INTERVAL, WRITER_SILENCE
from registry.tasks import Tasks


async def show_life(
    ingest: Ingest | SparseIngest, tasks: Tasks, give_up: Callable[[], None]
) -> None:
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


@asynccontextmanager
async def living(ingest: Ingest | SparseIngest) -> AsyncIterator[None]:
    """Show during the body that the writer of `ingest` is alive, as long as the disk answers."""
    async with Tasks() as tasks:
        tasks.start(show_life(ingest, tasks, lambda: None))
        yield
