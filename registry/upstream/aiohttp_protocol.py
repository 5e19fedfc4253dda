"""The protocol of aiohttp's connections for blobs: it bounds framing, and lets a thread read."""

import asyncio
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from registry.upstream.framing import Framing, FramingExcess
from registry.upstream.raw_connection import RawConnection, take_over


class BulkProtocol(ResponseHandler):
    """The protocol of one connection, which counts the bytes beside the content of each answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._framing = Framing()
        self._former: Any = None  # the body of the answer before
        self._raw: RawConnection | None = None  # the read side, while a thread reads

    def set_response_params(self, **options: Any) -> None:
        """Prepare for the answer to the next request."""
        self._framing.begin()
        self._former = self._payload
        super().set_response_params(**options)

    @property
    def is_paused(self) -> bool:
        """Whether nothing is received now, because too much waits to be read."""
        return bool(self._reading_paused or self._buffer_paused)

    def take_over(self) -> RawConnection | None:
        """Stop reading, and return the read side of the connection; None if this is impossible."""
        self._raw = None if self.transport is None else take_over(self.transport)
        if self._raw is not None:
            self._drop_timeout()  # it would count the silence here as one of the server
        return self._raw

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read from the connection again, unless a thread reads from it.

        A buffered body calls this when it is read, also that of the answer before: all of that was
        received, so that the connection is used by the next request already.
        """
        if self._raw is not None and self._raw.is_closed():
            self._raw = None
        if self._raw is None:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        framing = self._framing
        try:
            if framing.head is None:
                framing.received += len(data)
            else:
                framing.receive(data)
            super().data_received(data)
            body = None if self._payload is self._former else self._payload
            content = None if body is None else body.total_bytes
            if content is None or framing.received - content > framing.harmless:
                framing.check(content)
        except FramingExcess as excess:
            error = aiohttp.ClientPayloadError(str(excess))
            error.__cause__ = excess
            if self._payload not in (None, self._former):
                self._payload.set_exception(error)
            self.set_exception(error)
            if self.transport is not None:
                self.transport.close()
