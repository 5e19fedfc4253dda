"""What a terminal shows while candidates are measured: how many are done, and what runs now."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from registry.cli.terminal import Bars, format_bytes
from registry.reports.upstreams import MeasurementProgress

INTERVAL = 0.2  # seconds between two updates


@asynccontextmanager
async def show_progress(observe: Callable[[], MeasurementProgress]) -> AsyncIterator[None]:
    """Show how far a test is until the block ends, if stderr is a terminal.

    `observe` returns how far it is now.
    """
    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield
        return
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None),
    )
    options = {"redirect_stdout": False, "redirect_stderr": False}
    with Bars(console, columns=columns, **options) as progress:
        whole = progress.add_task("", total=observe().total)
        now = progress.add_task("", total=None)
        updates = asyncio.create_task(_update(progress, whole, now, observe))
        try:
            yield
        finally:
            updates.cancel()
            with suppress(asyncio.CancelledError):
                await updates


async def _update(
    progress: Progress, whole: TaskID, now: TaskID, observe: Callable[[], MeasurementProgress]
) -> None:
    while True:
        seen = observe()
        text = f"{seen.done} of {seen.total} measured"
        progress.update(whole, description=text, completed=seen.done)
        if seen.endpoint:
            host = seen.endpoint.partition("://")[2]
            amount = f" {format_bytes(seen.received)}" if seen.received else ""
            progress.update(
                now,
                description=f"  {host}: {seen.step}{amount}",
                completed=seen.received,
                total=seen.expected or None,
            )
        await asyncio.sleep(INTERVAL)
