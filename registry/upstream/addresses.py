"""The addresses that the mirror connects to: which of them are inside its own network.

A name is not checked before it is resolved: the server of its domain could give another answer to
the next question. The address of each connection is checked, before anything is sent over it.
"""

import ipaddress
import socket
from dataclasses import dataclass
from enum import IntEnum

LOCAL_SUFFIXES = (".lan", ".local", ".internal", ".home.arpa")  # names that no public DNS has
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # IPv4 behind NAT64 (RFC 6052)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Reach(IntEnum):
    """How far inside a connection may lead; each value includes those before it.

    At link-local addresses, clouds have the credentials of the machine.
    """

    PUBLIC = 0
    LOCAL = 1
    LINK_LOCAL = 2


class AddressRefused(OSError):
    """A connection may not lead to `address`, and `why` says what kind of address that is."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"{address} is {why}")
        self.address, self.why = address, why


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Allows connections within `reach`, except to the mirror itself, which has `own_ports`."""

    reach: Reach
    own_ports: frozenset[int] = frozenset()

    def check(self, host: str, port: int) -> None:
        """Raise AddressRefused if no connection may be made to the address `host`."""
        address = read_address(host)
        if address is None:
            return
        if reach_of(address) > self.reach:
            raise AddressRefused(host, "a private address")
        if port in self.own_ports and _is_of_this_machine(address):
            raise AddressRefused(f"{host}:{port}", "the address of this mirror itself")


def find_reach(host: str) -> Reach:
    """Return the reach that a host needs, as far as its name shows it."""
    host = host.rstrip(".").lower()
    address = read_address(host)
    if address is not None:
        return reach_of(address)
    is_local_name = "." not in host or host.endswith((".localhost", *LOCAL_SUFFIXES))
    return Reach.LOCAL if is_local_name else Reach.PUBLIC


def reach_of(address: Address) -> Reach:
    """Return the reach that a connection to an address needs."""
    address = _unwrap(address)
    if address.is_link_local:
        return Reach.LINK_LOCAL
    return Reach.PUBLIC if address.is_global else Reach.LOCAL


def read_address(host: str) -> Address | None:
    """Return the address that a host is written as; None if it is a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            # The resolver also accepts these as addresses: 127.1, 0x7f000001, 2130706433.
            return ipaddress.ip_address(socket.inet_aton(host))
        except (OSError, UnicodeError):
            return None


def _unwrap(address: Address) -> Address:
    """Return the IPv4 address that is in an IPv6 address, if there is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


def _is_of_this_machine(address: Address) -> bool:
    address = _unwrap(address)
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))  # only the addresses of this machine can be bound
    except OSError:
        return False
    return True
