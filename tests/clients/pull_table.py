"""What was pulled by whom: a table for people, printed after the tests."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.images import Image
from tests.clients.pullers import Client, Puller
from tests.harness.mirror import MirrorProcess

# Lets a client pull an image while the upstream is in a state; returns the image's message.
Pull = Callable[[Puller, Image, str], str]


@dataclass
class Row:
    """The pulls of one client in one state.

    `answers` counts the mirror's by their origin, of pulls during which nobody else pulled.
    """

    images: int = 0
    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)


@dataclass
class PullTable:
    """The pulls so far, and the logs to show beside a failure."""

    rows: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    logs: dict[str, Path] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _begun: int = 0
    _running: int = 0

    def pull(self, client: Client, image: Image, mirror: MirrorProcess, state: str) -> None:
        """Let the client pull, and note how that went."""
        seen = len(mirror.events("request"))
        with self._lock:
            self._begun += 1
            self._running += 1
            number, is_alone = self._begun, self._running == 1
        begun = time.monotonic()
        try:
            client.pull(image)
        finally:
            with self._lock:
                self._running -= 1
        seconds = time.monotonic() - begun
        with self._lock:
            row = self.rows.setdefault((state, client.name, client.manner), Row())
            row.images += 1
            row.seconds += seconds
            # The mirror's log does not say which of several clients an answer was for.
            if is_alone and number == self._begun:
                asked = mirror.events("request")[seen:]
                row.answers.update(line["origin"] for line in asked if "origin" in line)

    def print_table(self) -> list[str]:
        """Return the lines of the table."""
        cells = [
            ("upstream", "client", "configured by", "images", "seconds", "answers of the mirror")
        ]
        for (state, name, manner), row in self.rows.items():
            counts = sorted(row.answers.items())
            answers = ", ".join(f"{number} {origin}" for origin, number in counts)
            cells.append((state, name, manner, str(row.images), f"{row.seconds:.1f}", answers))
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
