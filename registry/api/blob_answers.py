"""The answers of `repeated_blobs.py`, from their first byte to their line in the log."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from registry.api.access_log import CLIENT_CLOSED_REQUEST, AccessEntry, AccessLog, AnswerLog
from registry.api.open_requests import OpenRequests
from registry.api.sendfile import translate_error
from registry.api.socket_writing import Unwritten
from registry.mirror.kept_blobs import OpenBlob


@dataclass(slots=True)
class AnswerNotes:
    """Logs and counts the answers to requests for one blob; `entry` is that of the first."""

    access_log: AccessLog
    entry: AccessEntry
    begin: Callable[..., None]  # writes the line for a terminal, as in `routes.py`
    count_sent: Callable[[float], None] = field(init=False)
    usual: AnswerLog = field(init=False)  # of an answer whose bytes were all sent

    def __post_init__(self) -> None:
        self.count_sent = self.access_log.find_sent(self.entry.kind, self.entry.origin)
        self.usual = self.access_log.prepare(self.entry)

    def prepare_early_end(self, size: int, failure: str) -> AnswerLog:
        """Return what logs an answer that ended early: by a `failure`, or since the client left.

        `size` is that of the whole blob.
        """
        changed = (
            replace(self.entry, size=0, failure=failure)
            if failure
            else replace(self.entry, size=size, status=CLIENT_CLOSED_REQUEST)
        )
        return self.access_log.prepare(changed)


@dataclass(slots=True)
class BlobAnswer:
    """An answer with a stored blob, or a part of it, that is being sent to the address `client`.

    `opened` is released at the end. `began` is when the request was read (`time.monotonic`), and
    `first_byte` how many seconds later the answer began. Only an answer that the client does not
    take at once counts in `open_requests`: others are over.
    """

    transport: asyncio.Transport
    client: str | None
    opened: OpenBlob
    unwritten: Unwritten
    notes: AnswerNotes
    began: float
    open_requests: OpenRequests | None = None
    first_byte: float = 0.0
    is_over: bool = False
    _is_counted: bool = False

    def begin(self) -> None:
        """Write as much as the client takes now; then `is_over` says whether that is all.

        If the client has left, or the file cannot be read, the connection is cut.
        """
        self.first_byte = time.monotonic() - self.began
        try:
            if self.unwritten.begin():
                self._end(self.notes.usual)
            elif self.open_requests is not None:
                self.open_requests.add(self.client)
                self._is_counted = True
        except (OSError, EOFError) as error:
            self._end_early(error)

    async def finish(self) -> None:
        """Write the rest, as the client takes it."""
        if self.is_over:
            return
        try:
            await self.unwritten.finish()
        except (OSError, EOFError) as error:
            self._end_early(error)
        except asyncio.CancelledError:
            self._end_early(ConnectionResetError())
            raise
        else:
            self._end(self.notes.usual)

    def _end(self, log: AnswerLog) -> None:
        self.is_over = True
        self.opened.release()
        if self._is_counted and self.open_requests is not None:
            self.open_requests.end(self.client)
        seconds = time.monotonic() - self.began
        log.add(self.client, [seconds], self.unwritten.sent, [self.first_byte])

    def _end_early(self, error: OSError | EOFError) -> None:
        reason = error if isinstance(error, EOFError) else translate_error(self.transport, error)
        failure = str(reason) if isinstance(reason, EOFError) else ""
        self._end(self.notes.prepare_early_end(self.opened.blob.size, failure))
        self.transport.abort()  # the client sees that the body is incomplete
