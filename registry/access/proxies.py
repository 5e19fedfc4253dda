"""What reverse proxies say of the clients behind them, and which of it counts. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from registry.access.networks import Network, parse_address, parse_network

MOST = 32  # proxies of a request that are looked at
LONGEST = 2048  # characters of a header that are looked at
# RFC 7239 section 4: a token, or a quoted string.
_PAIR = re.compile(r'\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([!-+\-.:0-9A-Za-z\[\]_]*))\s*')
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9a-fA-F:.]+\](?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Hop:
    """What one proxy says of whom it got a request from; an empty text is not known."""

    address: str
    scheme: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: the client's address, and how it has asked the first proxy.

    With `is_hidden`, `address` is that of a proxy, and whose request it passes on is not known.
    """

    address: str | None
    scheme: str = ""
    host: str = ""
    is_hidden: bool = False


def parse_forwarded(values: Iterable[str]) -> tuple[Hop, ...]:
    """Read the headers `Forwarded` (RFC 7239); the first hop is the one next to the client.

    What is malformed has no address.
    """
    elements = ",".join(values)[-LONGEST:].split(",")
    return tuple(_parse_element(each) for each in elements[-MOST:] if each.strip())


def _parse_element(element: str) -> Hop:
    known = {}
    for part in element.split(";"):
        found = _PAIR.fullmatch(part)
        if found is None:
            return Hop("")
        known[found[1].lower()] = found[3] if found[2] is None else found[2]
    return Hop(_strip_port(known.get("for", "")), known.get("proto", ""), known.get("host", ""))


def parse_x_forwarded(
    addresses: Iterable[str], schemes: Sequence[str], hosts: Sequence[str]
) -> tuple[Hop, ...]:
    """Read the headers `X-Forwarded-For`, `-Proto` and `-Host`, the client first.

    Scheme and host are those of the last proxy that has said them.
    """
    listed = ",".join(addresses)[-LONGEST:].split(",")
    hops = [Hop(_strip_port(each.strip())) for each in listed[-MOST:] if each.strip()]
    if hops:
        scheme, host = _find_last(schemes), _find_last(hosts)
        hops[-1] = Hop(hops[-1].address, scheme, host)
    return tuple(hops)


def _find_last(values: Sequence[str]) -> str:
    return ",".join(values)[-LONGEST:].rpartition(",")[2].strip()


def _strip_port(text: str) -> str:
    """Return an address without its port, and without the brackets of IPv6."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


class TrustedProxies:
    """Finds the client behind proxies of certain networks."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Without networks, nobody is believed.

        Raises:
            ValueError: one of them is no network.
        """
        self._networks: tuple[Network, ...] = tuple(map(parse_network, networks))

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str | None) -> bool:
        """Whether what comes from an address is believed."""
        found = parse_address(address or "")
        return found is not None and any(found in network for network in self._networks)

    def find_origin(
        self, peer: str | None, forwarded: Sequence[Hop], x_forwarded: Sequence[Hop]
    ) -> Origin:
        """Return where a request comes from, which the address `peer` has sent.

        The client is the nearest one that is no trusted proxy. Many proxies set one of both kinds
        of headers, and pass on the other one as the client has written it. So if there are both,
        and they say different things, nobody is believed. The client is hidden then: it must not
        be taken for the proxy, which may be in a group that may pull more.
        """
        if not self.trusts(peer):
            return Origin(peer)
        if forwarded and x_forwarded:
            origins = {self._walk(peer, each).address for each in (forwarded, x_forwarded)}
            if len(origins) > 1:
                return Origin(peer, is_hidden=True)
        return self._walk(peer, forwarded or x_forwarded)

    def _walk(self, peer: str | None, hops: Sequence[Hop]) -> Origin:
        """Go from the peer towards the client, as long as proxies are trusted.

        A hop without an address, such as `unknown`, hides the client.
        """
        origin = Origin(peer)
        for hop in reversed(hops):
            if not self.trusts(origin.address):
                break
            address = parse_address(hop.address)
            if address is None:
                return replace(origin, is_hidden=True)
            scheme = hop.scheme.lower() if hop.scheme.lower() in ("http", "https") else ""
            host = hop.host if _HOST.fullmatch(hop.host) else ""
            origin = Origin(str(address), scheme or origin.scheme, host or origin.host)
        return origin


NOBODY = TrustedProxies()
