"""What a terminal shows while candidates are measured: how many are done, and what runs now."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from registry.cli.terminal import Bars, format_bytes
from registry.wiring.candidates import CandidateTest

INTERVAL = 0.2  # seconds between two updates


@asynccontextmanager
async def show_progress(test: CandidateTest, *, quiet: bool = False) -> AsyncIterator[None]:
    """Show how far a test is until the block ends, if stderr is a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal or console.is_dumb_terminal:
        yield
        return
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None),
    )
    options = {"redirect_stdout": False, "redirect_stderr": False}
    with Bars(console, columns=columns, **options) as progress:
        whole = progress.add_task("", total=len(test.candidates))
        now = progress.add_task("", total=None)
        updates = asyncio.create_task(_update(progress, whole, now, test))
        try:
            yield
        finally:
            updates.cancel()
            with suppress(asyncio.CancelledError):
                await updates


async def _update(progress: Progress, whole: TaskID, now: TaskID, test: CandidateTest) -> None:
    while True:
        done = sum(each.is_done for each in test.candidates)
        text = f"{done} of {len(test.candidates)} measured"
        progress.update(whole, description=text, completed=done)
        running = next((each for each in test.candidates if each.running), None)
        if running is not None:
            host = running.url.partition("://")[2]
            amount = f" {format_bytes(running.received)}" if running.received else ""
            progress.update(
                now,
                description=f"  {host}: {running.running}{amount}",
                completed=running.received,
                total=running.expected or None,
            )
        await asyncio.sleep(INTERVAL)
