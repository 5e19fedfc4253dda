"""Asking the console of a running server whether it can answer all pulls."""

import http.client
from types import MappingProxyType

from registry.settings.values import parse_address

WAIT = 5.0  # seconds
# Where to ask a console that listens at every address.
_EVERYWHERE = MappingProxyType({"0.0.0.0": "127.0.0.1", "::": "::1"})  # noqa: S104


def ask_whether_ready(console: str) -> str:
    """Return why a server cannot answer some pulls; empty if it can answer all.

    `console` is its address, or empty if that is not known: then nobody is asked.
    """
    if not console:
        return ""
    address = parse_address(console)
    host = _EVERYWHERE.get(address.host, address.host)
    connection = http.client.HTTPConnection(host, address.port, timeout=WAIT)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read(1000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"its console at {console} does not answer ({error})"
    finally:
        connection.close()
    return "" if answer.status == http.client.OK else text
