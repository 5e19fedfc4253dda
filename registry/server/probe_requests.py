"""The last requests for probes of `entrepot doctor`, in memory that all workers share.

A client's request may reach one worker, and the question about it another one.
"""

import json
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from registry.api.probes import ProbeRequest
from registry.server.shared_lines import SharedLines

PAGE = 16 * 1024  # bytes for the requests that one worker has noted
MOST_OF_ONE = 8  # requests of one address on a page: it cannot push out those of others


class ProbeRequests:
    """A page for each worker, of limited size; `of` returns what one worker uses."""

    def __init__(self, workers: int) -> None:
        self._lines = SharedLines(workers, PAGE)

    def of(self, worker: int) -> "WorkerProbes":
        """Return the log that worker `worker` writes to, and no other."""
        return WorkerProbes(self._lines, worker)


class WorkerProbes:
    """The log of one worker, which also finds what the others have noted."""

    def __init__(self, lines: SharedLines, worker: int) -> None:
        self._lines, self._worker = lines, worker

    def note(self, nonce: str, request: ProbeRequest) -> None:
        """Note a request for a probe; older ones make room for it, first those of its address."""
        noted = {"nonce": nonce, "time": time.time(), **request}
        make_room = partial(_make_room, request["client"])
        self._lines.append(self._worker, json.dumps(noted).encode(), make_room)

    def find(self, nonce: str) -> Sequence[ProbeRequest]:
        """Return the requests for a probe that are remembered, the first one first."""
        quoted = f'"{nonce}"'.encode()
        found = [_read(line) for line in self._lines.read() if quoted in line]
        known = [each for each in found if each.pop("nonce", "") == nonce]
        return sorted(known, key=lambda each: each["time"])


def _make_room(client: str, kept: bytes) -> bytes:
    """Return lines without the oldest one of an address, if it has as many as it may have."""
    lines = kept.splitlines(keepends=True)
    # As it is written by `note`; in a text within the line, quotation marks have a backslash.
    written = json.dumps({"client": client})[1:-1].encode()
    own = [at for at, line in enumerate(lines) if written in line]
    if len(own) >= MOST_OF_ONE:
        del lines[own[0]]
    return b"".join(lines)


def _read(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:  # its writer was killed meanwhile
        return {}
    return found if isinstance(found, dict) else {}
