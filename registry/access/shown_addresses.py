"""How much of a client's address is kept: in records, in the history of pulls, and in the log.

Rules and limits use the whole address in any case.
"""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_network

from registry.access.networks import parse_address

REMEMBERED = 4096  # addresses
IPV4_BITS, IPV6_BITS = 24, 48  # of a network that stands for an address
_MAPPED = "::ffff:"  # prefix of an IPv4 address that connected to an IPv6 socket

ShowAddress = Callable[[str | None], str | None]


def choose_form(kept: str) -> ShowAddress:
    """Return the function that shortens addresses, by `whole`, `networks` or `none`."""
    if kept == "none":
        return hide_address
    return lru_cache(REMEMBERED)(show_network) if kept == "networks" else show_whole


def show_whole(address: str | None) -> str | None:
    """Return an address; IPv4 on a socket for both is IPv4."""
    if address is not None and address.startswith(_MAPPED) and "." in address:
        return address.removeprefix(_MAPPED)
    return address


def show_network(address: str | None) -> str | None:
    """Return the network of an address, such as `10.1.2.0/24`; None if it is no address."""
    found = None if address is None else parse_address(address)
    if found is None:
        return None
    bits = IPV4_BITS if found.version == 4 else IPV6_BITS
    return str(ip_network((found, bits), strict=False))


def hide_address(_: str | None) -> None:
    """Return nothing of an address."""
