"""Numbers as people read them, and bars that show progress."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from registry.settings.values import format_bytes as format_bytes  # noqa: PLC0414 (for the other files of this room)

FREE = 4  # columns after a bar that stay free


def format_count(count: int, noun: str) -> str:
    """Return a number of things: `1 blob`, `2 blobs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def format_volumes(numbers: Sequence[int]) -> str:
    """Return the sorted numbers of volumes: `volume 3`, `volumes 1, 3`, `volumes 1-3, 5`."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    joined = ", ".join("-".join(map(str, span)) for span in spans)
    return f"volume{'s' * (len(numbers) > 1)} {joined}"


def format_missing_volumes(numbers: Sequence[int], count: int) -> str:
    """Return a sentence about the volumes that were not given: `volume 3 of 5 is missing`."""
    return f"{format_volumes(numbers)} of {count} {'are' if len(numbers) > 1 else 'is'} missing"


def format_age(moment: float) -> str:
    """Return how long ago a moment (epoch seconds) was: `3 h ago`; 0 means never."""
    if not moment:
        return "never"
    seconds = max(0.0, time.time() - moment)
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"


def format_moment(moment: float) -> str:
    """Return a moment (epoch seconds) in local time: `2026-11-30 14:28`."""
    return f"{datetime.fromtimestamp(moment).astimezone():%Y-%m-%d %H:%M}"


class _Speed(ProgressColumn):
    """A column with the speed and the remaining time, as soon as they are known."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        text = f"{format_bytes(int(speed))}/s"
        if task.remaining and task.time_remaining is not None:
            text += f" {timedelta(seconds=int(task.time_remaining))}"
        return Text(text)


class Bars(Progress):
    """Bars over bytes on a terminal, which stay below its other lines, and are removed at the end.

    They leave some columns free: a terminal writes `^C` behind them. Otherwise `^C` would begin a
    line of its own, and the bars above it would not be removed. `columns` replace the usual ones.
    """

    def __init__(
        self, console: Console, *, columns: Sequence[ProgressColumn] = (), **options: Any
    ) -> None:
        self._terminal = console
        columns = columns or _list_columns()
        super().__init__(*columns, console=console, expand=True, transient=True, **options)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bars."""
        yield Constrain(self.make_tasks_table(self.tasks), self._terminal.width - FREE)


def _list_columns() -> list[ProgressColumn]:
    """Return the columns of a bar: its name, the bar, the bytes so far, and the speed."""
    text = TextColumn("{task.description}", markup=False)
    amount = DownloadColumn(binary_units=True, table_column=Column(no_wrap=True))
    return [text, BarColumn(bar_width=None), amount, _Speed(Column(no_wrap=True))]


def open_progress(what: str, total: int, *, quiet: bool = False) -> Progress:
    """Return a bar over `total` bytes on stderr.

    It shows nothing if there are no bytes, if stderr is no terminal, or if it shall be `quiet`.
    """
    console = Console(stderr=True)
    progress = Bars(console, disable=quiet or not (total and console.is_terminal))
    progress.add_task(what, total=total)
    return progress


@contextmanager
def show_progress(what: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a bar from `open_progress`, and yield the function that adds bytes to it."""
    with open_progress(what, total, quiet=quiet) as progress:
        task = progress.task_ids[0]
        yield lambda size: progress.advance(task, size)
