"""What a connection says of its client, besides the bytes of its requests."""

import asyncio
import math
import ssl
from collections.abc import Mapping
from typing import Any

from registry.access.surroundings import Surroundings


def find_surroundings(transport: asyncio.BaseTransport | None) -> Surroundings:
    """Return who is at the other end of a connection; it is the same as long as it lasts.

    The name of the certificate is empty without a verified one, of which OpenSSL describes nothing;
    and if there are several names, as it would depend on the reader which of them counts.
    `transport` is None if the connection has ended: then nobody is identified.
    """
    if transport is None:
        return Surroundings()
    peer = transport.get_extra_info("peername")
    address = str(peer[0]) if isinstance(peer, tuple) else None
    found = transport.get_extra_info("peercert") or {}
    return Surroundings(address, _find_name(found), ends=_find_end(found))


def _find_name(certificate: Mapping[str, Any]) -> str:
    """Return the only common name in what `ssl.SSLSocket.getpeercert` describes. Pure."""
    parts = certificate.get("subject", ())
    names = [value for part in parts for key, value in part if key == "commonName"]
    return str(names[0]) if len(names) == 1 else ""


def _find_end(certificate: Mapping[str, Any]) -> float:
    """Return when a certificate ends, in epoch seconds; one with an unknown end has ended. Pure."""
    if not certificate:
        return math.inf
    try:
        return float(ssl.cert_time_to_seconds(certificate.get("notAfter", "")))
    except ValueError:
        return 0.0
