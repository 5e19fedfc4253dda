"""Which addresses are in which groups. Pure."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
REMEMBERED = 4096  # addresses
_MAPPED_BITS = 96  # of the prefix of IPv4 addresses in IPv6 (RFC 4291 section 2.5.5.2)


class Networks:
    """Groups of addresses, by the names of the groups."""

    def __init__(self, groups: Mapping[str, Iterable[str]] | None = None) -> None:
        """`groups` has networks such as `10.2.0.0/16`.

        Raises:
            ValueError: one of them is no network.
        """
        self._groups = {
            name: tuple(map(parse_network, each)) for name, each in (groups or {}).items()
        }
        self._find = lru_cache(REMEMBERED)(self._look_up)

    def find_groups(self, address: str | None) -> frozenset[str]:
        """Return the groups of an address; an address that is not known is in none."""
        if not self._groups or not address:
            return frozenset()
        return self._find(address)

    def _look_up(self, address: str) -> frozenset[str]:
        found = parse_address(address)
        if found is None:
            return frozenset()
        return frozenset(
            name for name, networks in self._groups.items() if any(found in net for net in networks)
        )


def parse_network(text: str) -> Network:
    """Return the network in a text; IPv4 that is written as IPv6 is IPv4, as in `parse_address`.

    Raises:
        ValueError: it is none.
    """
    found = ip_network(text)
    if isinstance(found, IPv6Network) and found.prefixlen >= _MAPPED_BITS:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, found.prefixlen - _MAPPED_BITS))
    return found


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in a text; None if it is none.

    IPv4 on a socket for both is IPv4, and the zone of a link-local address is left out.
    """
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
