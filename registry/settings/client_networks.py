"""What counts as one address in the limits of an address. Pure."""

import socket


def find_network(client: str) -> bytes:
    """Return what counts as one address: an IPv4 address, or a /64 network of IPv6."""
    if ":" not in client:
        return client.encode()
    packed = socket.inet_pton(socket.AF_INET6, client.partition("%")[0])
    is_mapped = packed.startswith(bytes(10) + b"\xff\xff")  # IPv4 on a socket for both
    return packed[12:] if is_mapped else packed[:8]
