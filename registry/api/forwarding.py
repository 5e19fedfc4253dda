"""The headers in which proxies say whom they got a request from."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from registry.access.proxies import (
    Hop,
    Origin,
    TrustedProxies,
    parse_forwarded,
    parse_x_forwarded,
)
from registry.access.surroundings import Surroundings

# Returns which client has sent the bytes of a request over a connection; None if that would be
# another user than the one for whom they were answered.
FindCaller = Callable[[Surroundings], Surroundings | None]


def use_connection(connection: Surroundings) -> Surroundings:
    """Return the client at the other end of a connection, if nobody is in between."""
    return connection


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What the headers of one request say, whoever has written them."""

    forwarded: tuple[Hop, ...]
    x_forwarded: tuple[Hop, ...]

    def find_origin(self, proxies: TrustedProxies, peer: str | None) -> Origin:
        """Return where the request comes from, if the address `peer` has sent it."""
        return proxies.find_origin(peer, self.forwarded, self.x_forwarded)

    def find_client(
        self, proxies: TrustedProxies, host: str, connection: Surroundings
    ) -> Surroundings | None:
        """Return which client the same request comes from on another connection.

        None if it is for another host there than `host`, by which it was answered: the headers
        that name a host are believed on some connections only, and a host may name a registry.
        """
        origin = self.find_origin(proxies, connection.address)
        if origin.host != host:
            return None
        if not proxies.trusts(connection.address):
            return connection
        return connection.pass_on(origin.address, is_hidden=origin.is_hidden)


def read_forwarding(request: web.BaseRequest) -> Forwarding | None:
    """Read the headers of a request; None if it has none of them."""
    forwarded = parse_forwarded(request.headers.getall("Forwarded", ()))
    x_forwarded = parse_x_forwarded(
        request.headers.getall("X-Forwarded-For", ()),
        request.headers.getall("X-Forwarded-Proto", ()),
        request.headers.getall("X-Forwarded-Host", ()),
    )
    return Forwarding(forwarded, x_forwarded) if forwarded or x_forwarded else None
