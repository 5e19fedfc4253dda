"""Stored blobs, and parts of them, that are sent without aiohttp (decision record 0037).

Clients that read an image lazily, or download its layers in parallel, ask for many parts of one
blob: their requests differ only in the numbers of `Range`. Whether the blob may be sent is decided
each time, by the same rule as for any other request.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus

from aiohttp import web

from registry.api.access_log import (
    CLIENT_CLOSED_REQUEST,
    AccessEntry,
    AccessLog,
    AnswerLog,
    cut_path,
)
from registry.api.multipart import content_range
from registry.api.response_heads import BEFORE_DATE, Date, write_head
from registry.api.sendfile import SentBytes
from registry.api.socket_writing import write_slice
from registry.errors import EntrepotError
from registry.logs import get_logger
from registry.mirror.blob_bodies import StoredBlob
from registry.oci.byte_ranges import Span

MOST = 500  # requests that are remembered; each takes 5 to 10 KiB
# The header of one range that begins at a certain byte; other ranges are left to aiohttp.
_RANGE = re.compile(rb"\r\nRange: ?bytes=([0-9]{1,19})-([0-9]{0,19})\r\n", re.IGNORECASE)
_VALUE = "\0"  # stands in a head for a value that changes; no header may have this character

Wanted = tuple[bytes, bytes]  # the digits of a range: its first byte, and its last one, if given
# Opens a blob for a client, if it is stored and may be sent without asking anybody.
Reopen = Callable[[], Awaitable[StoredBlob | None]]


@dataclass(slots=True)
class RepeatedBlob:
    """The answer to requests for one blob that differ only in their `Range`.

    `head` is cut where the values of `Content-Range` and `Content-Length` belong; it is whole if
    the requests have no `Range`.
    """

    head: list[bytes]
    entry: AccessEntry
    reopen: Reopen
    date: Date
    access_log: AccessLog
    log: AnswerLog
    note_begin: Callable[..., None]  # writes the line for a terminal, as in `routes.py`
    count_sent: Callable[[int], None] = field(init=False)

    def __post_init__(self) -> None:
        self.count_sent = partial(self.access_log.count_sent, self.entry.origin)

    async def send(
        self, transport: asyncio.Transport, wanted: Wanted | None, client: str | None
    ) -> bool:
        """Send the blob, or the part of it that is `wanted`, and log the answer.

        Returns false if nothing was sent, as aiohttp has to answer: the blob is not stored any
        more, or may not be sent, or does not have that part, or is not one local file.
        """
        began = time.monotonic()
        try:
            blob = await self.reopen()
        except EntrepotError:
            return False
        if blob is None:
            return False
        with closing(blob):
            span = _choose(wanted, blob.size)
            place = None if span is None else blob.find_place(span)
            if span is None or place is None or transport.is_closing():
                return False
            blob.note_use()  # not before: aiohttp's answer notes its own
            self.note_begin(client=client)
            sent, log = SentBytes(self.count_sent), self.log
            try:
                await write_slice(transport, self._write_head(span, blob.size), place, sent)
            except ConnectionError:
                log = self._change_log(status=CLIENT_CLOSED_REQUEST, size=blob.size)
                transport.abort()
            except asyncio.CancelledError:
                log = self._change_log(status=CLIENT_CLOSED_REQUEST, size=blob.size)
                raise
            except EOFError as error:
                log = self._change_log(failure=str(error))
                transport.abort()  # the client sees that the body is incomplete
            finally:
                log.add(client, [time.monotonic() - began], sent.count)
        return True

    def _write_head(self, span: Span, size: int) -> bytes:
        begin, *rest = self.head
        if rest:
            about, end = rest
            length = str(span.length).encode()
            begin = b"".join((begin, content_range(span, size).encode(), about, length, end))
        return b"".join((begin, BEFORE_DATE, self.date.write(), b"\r\n\r\n"))

    def _change_log(self, *, status: int = 0, size: int = 0, failure: str = "") -> AnswerLog:
        entry = self.entry
        changed = replace(entry, status=status or entry.status, size=size, failure=failure)
        return self.access_log.prepare(changed)


class RepeatedBlobs:
    """Answers with stored blobs, by the bytes of their requests without the numbers of `Range`."""

    def __init__(self, access_log: AccessLog, most: int = MOST) -> None:
        self._access_log = access_log
        self._most = most
        # The key says whether there is a range: the other bytes of two requests may be equal.
        self._blobs: OrderedDict[tuple[bytes, bool], RepeatedBlob] = OrderedDict()
        self._date = Date()
        self._log = get_logger("registry.api").bind()

    def __len__(self) -> int:
        return len(self._blobs)

    def find(self, request: bytes) -> tuple[RepeatedBlob, Wanted | None] | None:
        """Return the answer to these bytes, and the part of the blob that they ask for."""
        key, wanted = _split(request)
        blob = self._blobs.get(key)
        if blob is None:
            return None
        self._blobs.move_to_end(key)
        return blob, wanted

    def remember(
        self, request: bytes, response: web.StreamResponse, entry: AccessEntry, reopen: Reopen
    ) -> None:
        """Remember the answer to these bytes, if all of it was sent, and it was no other part."""
        key, wanted = _split(request)
        expected = HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK
        if entry.status != expected or entry.failure:
            return
        changed = {"Content-Range": _VALUE, "Content-Length": _VALUE} if wanted else {}
        head = write_head(response, changed).split(_VALUE.encode())
        log = self._access_log.prepare(entry)
        path, repository = cut_path(entry.path), entry.repository
        note_begin = partial(self._log.debug, "request began", repository=repository, path=path)
        self._blobs[key] = RepeatedBlob(
            head, entry, reopen, self._date, self._access_log, log, note_begin
        )
        self._blobs.move_to_end(key)
        while len(self._blobs) > self._most:
            self._blobs.popitem(last=False)


def _split(request: bytes) -> tuple[tuple[bytes, bool], Wanted | None]:
    found = _RANGE.search(request)
    if found is None:
        return (request, False), None
    key = request[: found.start(1)] + request[found.end(2) :], True
    return key, (found[1], found[2])


def _choose(wanted: Wanted | None, size: int) -> Span | None:
    """Return the part that is asked for; None if there is no such part. Pure.

    As in `parse_range`, a part that goes beyond the end of the blob ends there.
    """
    if wanted is None:
        return Span(0, size)
    first, last = wanted
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    return Span(start, stop) if start < stop else None
