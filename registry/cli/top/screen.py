"""`entrepot top` on a terminal: it is drawn each second, until somebody presses a key."""

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from rich.console import Console
from rich.live import Live
from rich.text import Text

from registry.cli.top.drawing import draw_top
from registry.cli.top.reader import TopReader
from registry.reports.top import Top

INTERVAL = 1.0  # seconds
_QUIT = b"qQ\x1b\x04"  # also Escape and Ctrl-D


def can_redraw() -> bool:
    """Whether the output is a terminal on which something can be drawn again and again."""
    return sys.stdout.isatty() and not Console().is_dumb_terminal


async def show_live(reader: TopReader) -> None:
    """Show what the mirror does until `q` is pressed, or the process has to end.

    Raises:
        StoreError: the catalog refused.
    """
    console = Console(
        color_system=None if os.environ.get("NO_COLOR") else "auto", highlight=False, markup=False
    )
    top = await reader.read()  # before the screen is cleared: it may fail
    with (
        _watch_end() as ended,
        Live(console=console, screen=True, auto_refresh=False, redirect_stderr=False) as live,
    ):
        while not ended.is_set():
            live.update(_draw(top, console), refresh=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), INTERVAL)
            if not ended.is_set():
                top = await reader.read()


def _draw(top: Top, console: Console) -> Text:
    width, height = console.size
    lines = list(draw_top(top, width=width, height=height - 1))[: height - 1]
    lines += [""] * (height - 1 - len(lines))
    text = Text("\n".join(lines), no_wrap=True, overflow="crop")
    problems = 1 if top.status.well else len(top.status.problems)
    style = "green" if top.status.well else "red"
    text.stylize(style, 0, sum(len(line) + 1 for line in lines[:problems]))
    text.append(f"\n{datetime.now().astimezone():%H:%M:%S}, q quits", "bold")
    return text


@contextmanager
def _watch_end() -> Iterator[asyncio.Event]:
    """Yield what is set when `q` is pressed, or a signal says that the process has to end."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    try:
        with _read_keys(loop, ended):
            yield ended
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@contextmanager
def _read_keys(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> Iterator[None]:
    """Set `ended` when `q` is pressed; without keys, only a signal ends the command."""
    if not sys.stdin.isatty():
        yield
        return
    keyboard = sys.stdin.fileno()
    former = termios.tcgetattr(keyboard)

    def read() -> None:
        keys = os.read(keyboard, 64)
        if not keys or any(key in _QUIT for key in keys):
            ended.set()

    tty.setcbreak(keyboard)  # keys come at once, and are not shown; Ctrl-C stays a signal
    loop.add_reader(keyboard, read)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, former)
