"""The requests that the fake received, and what it sent for each of them."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from multidict import CIMultiDictProxy

Kind = Literal["ping", "manifest", "blob", "cdn", "token", "tags", "referrers", "other"]


@dataclass
class Entry:
    """One request. Times are `time.monotonic()`; `status` is 0 before headers are sent."""

    kind: Kind
    method: str
    path: str
    query: str
    headers: CIMultiDictProxy[str] = field(repr=False)
    port: int
    digest: str | None = None
    status: int = 0
    body_bytes: int = 0
    started: float = field(default_factory=time.monotonic)
    first_byte_at: float | None = None
    finished: float | None = None

    def __str__(self) -> str:
        target = f"{self.path}?{self.query}" if self.query else self.path
        asked = self.headers.get("Range")
        took = "open" if self.finished is None else f"{self.finished - self.started:.3f}s"
        return (
            f"{self.kind:<9} {self.method:<4} {self.status or '---'} {self.body_bytes:>9} B "
            f"{took:>7} :{self.port} {target}" + (f" [{asked}]" if asked else "")
        )


class Journal:
    """All requests in the order in which they were received, also unfinished ones.

    Each method that reads first lets the server run its due steps. So if a test has received the
    last byte, this byte is counted.
    """

    def __init__(self, settle: Callable[[], None]) -> None:
        self._settle = settle
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def record(self, entry: Entry) -> None:
        """Note a request that was just received."""
        with self._lock:
            self._entries.append(entry)

    def of(
        self, kind: str | None = None, method: str | None = None, contains: str | None = None
    ) -> list[Entry]:
        """Return the requests of this kind and method whose path or query contains this text."""
        return [
            entry
            for entry in self._settled()
            if (kind is None or entry.kind == kind)
            and (method is None or entry.method == method)
            and (contains is None or contains in f"{entry.path}?{entry.query}")
        ]

    def count(
        self, kind: str | None = None, method: str | None = None, contains: str | None = None
    ) -> int:
        """Return how many requests `of` returns."""
        return len(self.of(kind, method, contains))

    def bytes_sent(self, digest: str) -> int:
        """Return the body bytes of this blob that were given to the kernel."""
        return sum(entry.body_bytes for entry in self._blob(digest))

    def blob_fetches(self, digest: str) -> int:
        """Return the GETs of this blob that were answered with content (200 or 206)."""
        return sum(
            entry.method == "GET" and entry.status in {200, 206} for entry in self._blob(digest)
        )

    def clear(self) -> None:
        """Delete all requests until now, also those that are still being answered."""
        self._settle()
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        return len(self._settled())

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._settled())

    def __str__(self) -> str:
        entries = self._settled()
        return "\n".join([f"journal of {len(entries)} requests:", *map(str, entries)])

    def _blob(self, digest: str) -> list[Entry]:
        return [
            entry
            for entry in self._settled()
            if entry.digest == digest and entry.kind in {"blob", "cdn"}
        ]

    def _settled(self) -> list[Entry]:
        self._settle()
        with self._lock:
            return list(self._entries)
