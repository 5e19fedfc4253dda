"""Asking the console of a running server: whether it can answer all pulls, and for its metrics."""

import http.client
from types import MappingProxyType

from registry.settings.values import parse_address

WAIT = 5.0  # seconds
LARGEST = 4 * 1024 * 1024  # bytes of an answer
# Where to ask a console that listens at every address.
_EVERYWHERE = MappingProxyType({"0.0.0.0": "127.0.0.1", "::": "::1"})  # noqa: S104


def ask_whether_ready(console: str) -> str:
    """Return why a server cannot answer some pulls; empty if it can answer all.

    `console` is its address, or empty if that is not known: then nobody is asked.
    """
    if not console:
        return ""
    try:
        status, text = _ask(console, "/readyz")
    except (OSError, http.client.HTTPException) as error:
        return f"its console at {console} does not answer ({error})"
    return "" if status == http.client.OK else text[:1000].strip()


def ask_console(console: str, path: str) -> str:
    """Return what the console at an address answers; empty if it does not, or is not known."""
    try:
        status, text = _ask(console, path) if console else (0, "")
    except (OSError, http.client.HTTPException):
        return ""
    return text if status == http.client.OK else ""


def _ask(console: str, path: str) -> tuple[int, str]:
    """Return the status and the text of an answer.

    Raises:
        OSError, http.client.HTTPException: the console does not answer.
    """
    address = parse_address(console)
    host = _EVERYWHERE.get(address.host, address.host)
    connection = http.client.HTTPConnection(host, address.port, timeout=WAIT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(LARGEST).decode(errors="replace")
    finally:
        connection.close()
