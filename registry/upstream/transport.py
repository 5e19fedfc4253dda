"""The transport of the HTTP client: which library sends a request, and to which addresses."""

import ssl
from contextlib import AsyncExitStack
from typing import Self

import httpx

from registry.upstream.addresses import AddressGuard, Reach
from registry.upstream.aiohttp_transport import READ_AHEAD, BulkTransport
from registry.upstream.httpx_transport import DocumentTransport
from registry.upstream.via import VIA, ViaWriter

BULK = "bulk"  # the extension that marks a request whose answer may be large
REACH = "reach"  # the extension with the `Reach` of a request (none: any address is allowed)
LOCATION = "location"  # the extension of a response with its `Location` header


class UpstreamTransport(httpx.AsyncBaseTransport):
    """aiohttp's transport for requests marked as bulk, and httpx's own for all others.

    Connections for each reach are apart: a request with a small reach must not use a connection
    that another request was allowed to make. A proxy connects by itself, so that its addresses are
    not checked. `own_ports` are those on which the mirror listens. `read_ahead` is how many bytes
    of a blob are received before somebody reads them.
    """

    def __init__(
        self,
        trust: ssl.SSLContext,
        proxy: str,
        via: ViaWriter,
        own_ports: frozenset[int] = frozenset(),
        read_ahead: int = READ_AHEAD,
    ) -> None:
        self._trust = trust
        self._proxy = proxy
        self._via = via
        self._own_ports = own_ports
        self._read_ahead = read_ahead
        self._pools: dict[Reach | None, tuple[BulkTransport, DocumentTransport]] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open(None)
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; see the two transports."""
        request.headers[VIA] = self._via.write()
        reach = None if self._proxy else request.extensions.get(REACH)
        bulk, documents = self._pools.get(reach) or await self._open(reach)
        chosen: httpx.AsyncBaseTransport = bulk if request.extensions.get(BULK) else documents
        response = await chosen.handle_async_request(request)
        # httpx prepares the request to each location, also if redirects are not followed, and
        # fails if it cannot read it.
        response.extensions[LOCATION] = response.headers.pop("location", "")
        return response

    async def _open(self, reach: Reach | None) -> tuple[BulkTransport, DocumentTransport]:
        guard = None if reach is None else AddressGuard(reach, self._own_ports)
        bulk = BulkTransport(self._trust, self._proxy, guard, self._read_ahead)
        documents = DocumentTransport(self._trust, self._proxy, guard)
        self._pools[reach] = bulk, documents
        await self._stack.enter_async_context(bulk)
        await self._stack.enter_async_context(documents)
        return bulk, documents

    async def aclose(self) -> None:
        """Close every connection."""
        await self._stack.aclose()
