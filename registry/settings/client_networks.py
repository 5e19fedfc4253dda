"""Networks of clients, and what counts as one address in the limits of an address. Pure."""

import ipaddress
import socket

from registry.settings.values import Refusal


def find_network(client: str) -> bytes:
    """Return what counts as one address: an IPv4 address, or a /64 network of IPv6."""
    if ":" not in client:
        return client.encode()
    packed = socket.inet_pton(socket.AF_INET6, client.partition("%")[0])
    is_mapped = packed.startswith(bytes(10) + b"\xff\xff")  # IPv4 on a socket for both
    return packed[12:] if is_mapped else packed[:8]


def check_network(text: str) -> str:
    """Return a network of addresses, such as `10.2.0.0/16`, as it was written.

    Raises:
        Refusal: the text is none.
    """
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise Refusal(str(error), 'write networks such as "10.2.0.0/16"') from error
    return text
