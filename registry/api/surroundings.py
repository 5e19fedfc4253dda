"""What a connection says of its client, besides the bytes of its requests."""

import asyncio
from collections.abc import Mapping
from typing import Any

from registry.access.surroundings import Surroundings


def find_surroundings(transport: asyncio.BaseTransport) -> Surroundings:
    """Return who is at the other end of a connection; it is the same as long as it lasts."""
    peer = transport.get_extra_info("peername")
    address = str(peer[0]) if isinstance(peer, tuple) else None
    return Surroundings(address, find_certificate(transport))


def find_certificate(transport: asyncio.BaseTransport | None) -> str:
    """Return the common name in the certificate of a client, if it was verified.

    It is empty without a verified certificate, of which OpenSSL describes nothing; and if there are
    several names, as it would depend on the reader which of them counts. `transport` is None if the
    connection has ended: then nobody is identified.
    """
    found = None if transport is None else transport.get_extra_info("peercert")
    return _find_name(found or {})


def _find_name(certificate: Mapping[str, Any]) -> str:
    """Return the only common name in what `ssl.SSLSocket.getpeercert` describes. Pure."""
    parts = certificate.get("subject", ())
    names = [value for part in parts for key, value in part if key == "commonName"]
    return str(names[0]) if len(names) == 1 else ""
