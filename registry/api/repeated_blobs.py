"""Stored blobs, and parts of them, that are sent without aiohttp (decision record 0037).

Clients that read an image lazily, or download its layers in parallel, ask for many parts of one
blob: their requests differ only in the numbers of `Range`. Whether the blob may be sent is decided
each time, by the same rule as for any other request.
"""

import asyncio
import re
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus

from aiohttp import web

from registry.access.surroundings import Surroundings
from registry.api.access_log import AccessEntry, AccessLog, cut_path
from registry.api.blob_answers import AnswerNotes, BlobAnswer
from registry.api.forwarding import FindCaller, use_connection
from registry.api.open_requests import OpenRequests
from registry.api.response_heads import BEFORE_DATE, Date, write_head
from registry.api.socket_writing import MayGoOn, SentBytes, Unwritten
from registry.errors import EntrepotError
from registry.logs import get_logger
from registry.mirror.kept_blobs import KeptBlob, OpenBlob

MOST = 500  # requests that are remembered; each takes 5 to 10 KiB
# The header of one range that begins at a certain byte; other ranges are left to aiohttp.
_RANGE = re.compile(rb"\r\nRange: ?bytes=([0-9]{1,19})-([0-9]{0,19})\r\n", re.IGNORECASE)
_VALUE = "\0"  # stands in a head for a value that changes; no header may have this character

Wanted = tuple[bytes, bytes]  # the digits of a range: its first byte, and its last one, if given


@dataclass(frozen=True, slots=True)
class Client:
    """Who gets an answer; `connection` is the socket of the transport, which has no TLS."""

    transport: asyncio.Transport
    connection: socket.socket
    surroundings: Surroundings

    @property
    def address(self) -> str | None:
        """The address, if it is known."""
        return self.surroundings.address


@dataclass(slots=True)
class RepeatedBlob:
    """The answer to requests for one blob that differ only in their `Range`.

    `head` is cut where the values of `Content-Range` and `Content-Length` belong; it is whole if
    the requests have no `Range`.
    """

    head: list[bytes]
    kept: KeptBlob
    date: Date
    notes: AnswerNotes
    find_caller: FindCaller
    may_go_on: MayGoOn | None = None
    open_requests: OpenRequests | None = None

    def begin(self, client: Client, wanted: Wanted | None) -> BlobAnswer | None:
        """Begin to send the blob, or the part of it that is `wanted`, if the blob is open.

        Returns None if it is not, or if the client is another one, or has too many requests; then
        `open` has to be called.
        """
        began = time.monotonic()
        caller = self.find_caller(client.surroundings)
        if caller is None:
            return None
        try:
            opened = self.kept.take()
        except EntrepotError:
            return None
        client = replace(client, surroundings=caller)
        return None if opened is None else self._begin(client, wanted, opened, began)

    async def open(self, client: Client, wanted: Wanted | None) -> BlobAnswer | None:
        """Open the blob, and begin to send it, or the part of it that is `wanted`.

        Returns None if nothing was sent, as aiohttp has to answer: the blob is not stored any more,
        or may not be sent to this client, or does not have that part, or is not one local file, or
        the client has too many requests.
        """
        began = time.monotonic()
        caller = self.find_caller(client.surroundings)
        if caller is None:
            return None
        try:
            opened = await self.kept.open(keep=wanted is not None)
        except EntrepotError:
            return None
        client = replace(client, surroundings=caller)
        return None if opened is None else self._begin(client, wanted, opened, began)

    def _begin(
        self, client: Client, wanted: Wanted | None, opened: OpenBlob, began: float
    ) -> BlobAnswer | None:
        size = opened.blob.size
        start, stop = _choose(wanted, size)
        place = opened.blob.find_place(start, stop)
        has_room = self.open_requests is None or self.open_requests.has_room(client.address)
        if start > stop or place is None or client.transport.is_closing() or not has_room:
            opened.release()
            return None
        opened.blob.note_use()  # not before: aiohttp's answer notes its own
        self.notes.begin(client=self.notes.access_log.show_address(client.address))
        head = self._write_head(start, stop, size)
        note: Callable[[int], None] | Callable[[float], None] = self.notes.count_sent
        if self.may_go_on is not None:
            note = SentBytes(note, self.may_go_on).add
        unwritten = Unwritten(client.connection, head, *place, note)
        answer = BlobAnswer(
            client.transport,
            client.address,
            opened,
            unwritten,
            self.notes,
            began,
            self.open_requests,
        )
        answer.begin()
        return answer

    def _write_head(self, start: int, stop: int, size: int) -> bytes:
        begin, *rest = self.head
        if rest:
            about, end = rest
            content_range = b"bytes %d-%d/%d" % (start, stop - 1, size)
            begin = b"".join((begin, content_range, about, b"%d" % (stop - start), end))
        return b"".join((begin, BEFORE_DATE, self.date.write(), b"\r\n\r\n"))


class RepeatedBlobs:
    """Answers with stored blobs, by the bytes of their requests without the numbers of `Range`."""

    def __init__(
        self,
        access_log: AccessLog,
        most: int = MOST,
        open_requests: OpenRequests | None = None,
    ) -> None:
        self._access_log = access_log
        self._open_requests = open_requests
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
        self,
        request: bytes,
        response: web.StreamResponse,
        entry: AccessEntry,
        kept: KeptBlob,
        *,
        find_caller: FindCaller = use_connection,
        may_go_on: MayGoOn | None = None,
    ) -> None:
        """Remember the answer to these bytes, if all of it was sent, and it was no other part."""
        key, wanted = _split(request)
        expected = HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK
        if entry.status != expected or entry.failure:
            return
        changed = {"Content-Range": _VALUE, "Content-Length": _VALUE} if wanted else {}
        head = write_head(response, changed).split(_VALUE.encode())
        path, repository = cut_path(entry.path), entry.repository
        note_begin = partial(self._log.debug, "request began", repository=repository, path=path)
        notes = AnswerNotes(self._access_log, entry, note_begin)
        self._blobs[key] = RepeatedBlob(
            head, kept, self._date, notes, find_caller, may_go_on, self._open_requests
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


def _choose(wanted: Wanted | None, size: int) -> tuple[int, int]:
    """Return the part that is asked for: from, to; `to` is less if there is no such part. Pure.

    As in `parse_range`, a part that goes beyond the end of the blob ends there.
    """
    if wanted is None:
        return 0, size
    first, last = wanted
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    return (start, stop) if start < stop else (1, 0)
