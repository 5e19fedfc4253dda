"""What is shown of a server's log on a terminal (decision record 0023).

The server writes the same lines of JSON as without a terminal, into a pipe. The process at its
other end (`screen_process.py`) shows a line for each pull, warnings and errors, and bars for
running downloads.
"""

import json
import math
import os
import queue
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType

from registry.cli.download_bars import DownloadBars
from registry.cli.lines import break_lines
from registry.cli.repeats import RepeatFilter
from registry.cli.screen_lines import (
    BANNER_INDENT,
    format_event,
    format_pull,
    format_stopping,
    make_plain,
    wrap_line,
)
from registry.content.usage import RunningDownload
from registry.reports.pulls import PullCollector
from registry.wiring.running_downloads import find_downloads

TICK = 0.25  # seconds between two updates of the bars
_STYLES = MappingProxyType({"warning": "yellow", "error": "red", "critical": "red"})
_DIED = frozenset({"a process died and is replaced", "a process did not answer and is replaced"})
_PASSED = "passed through, not stored"

# Returns the lines of the banner for the log line `serving`.
Banner = Callable[[Mapping[str, Any]], Iterable[str]]


def make_console() -> Console:
    """Return the terminal of stderr; without colours if the environment says NO_COLOR."""
    # Not `no_color=True`, which would leave bold and dim text.
    return Console(
        stderr=True,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )


class Screen:
    """Shows the lines of a server's log on a terminal."""

    def __init__(self, console: Console, banner: Banner) -> None:
        self._console = console
        self._banner = banner
        self._pulls = PullCollector()
        self._repeats = RepeatFilter()
        self._bars = DownloadBars(console)
        self._list_downloads: Callable[[], list[RunningDownload]] = list

    def run(self, lines: "queue.Queue[bytes | None]") -> None:
        """Show lines until None comes.

        Raises:
            OSError: the terminal is gone.
        """
        drawn = 0.0
        while True:
            line: bytes | None = b""
            with suppress(queue.Empty):
                line = lines.get(timeout=TICK)
            if line is None:
                break
            if line:
                self._show(line)
            if time.monotonic() - drawn >= TICK:
                self._draw()
                drawn = time.monotonic()
        self._bars.stop()
        self._pulls.cut_open()
        self._print_pulls(quiet=0.0)
        self._print_events(self._repeats.take(math.inf))

    def _show(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or "event" not in event:
            text = make_plain(line.decode("utf-8", "replace").rstrip("\n"))
            is_message = text.startswith("entrepot: ")  # and not, for example, a traceback
            self._print(break_lines(text, self._console.width) if is_message else text)
            return
        match event["event"]:
            case "request began":
                self._pulls.begin(event, time.monotonic())
            case "request":
                self._pulls.end(event, time.monotonic())
            case "serving":
                self._start(event)
            case "stopping":
                self._bars.stop()
                self._list_downloads = list
                stopping = format_stopping(self._pulls.list_open(), event["wait"])
                # The terminal has written `^C` at the beginning of the line.
                self._console.control(Control(ControlType.CARRIAGE_RETURN))
                self._print(stopping, is_sentence=True)
            case other:
                if other in _DIED:
                    self._pulls.forget_open()
                if other == _PASSED:
                    self._pulls.note_unstored(event)
                self._print_events(self._repeats.add(event, time.monotonic()))

    def _start(self, event: Mapping[str, Any]) -> None:
        for line in self._banner(event):
            self._print(wrap_line(line, self._console.width, BANNER_INDENT))
        self._list_downloads = lambda: find_downloads(Path(event["data"]))

    def _print_events(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            text = format_event(event, datetime.now().astimezone())
            if text is not None:
                text = wrap_line(text, self._console.width)
                self._print(text, _STYLES.get(event.get("level", "")))

    def _draw(self) -> None:
        self._print_pulls()
        self._print_events(self._repeats.take(time.monotonic()))
        downloads: list[RunningDownload] = []
        with suppress(OSError):  # the disk of the data folder
            downloads = self._list_downloads()
        self._bars.show(downloads)

    def _print_pulls(self, **quiet: float) -> None:
        for pull in self._pulls.take_finished(time.monotonic(), **quiet):
            style = "red" if pull.failure else None
            text = format_pull(pull, datetime.now().astimezone())
            self._print(wrap_line(text, self._console.width), style)

    def _print(self, text: str, style: str | None = None, *, is_sentence: bool = False) -> None:
        # The terminal itself breaks lines that are no sentences, so that they can be copied.
        self._console.print(text, style=style, soft_wrap=not is_sentence)
