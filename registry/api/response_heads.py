"""The heads of answers that are sent without aiohttp: status line and headers."""

import time
from collections.abc import Mapping
from email.utils import formatdate
from types import MappingProxyType

from aiohttp import web

BEFORE_DATE = b"\r\nDate: "
_NONE: Mapping[str, str] = MappingProxyType({})


class Date:
    """The value of the header `Date`, written once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._date = b""

    def write(self) -> bytes:
        """Return the date of now."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True).encode("ascii")
        return self._date


def write_head(response: web.StreamResponse, changed: Mapping[str, str] = _NONE) -> bytes:
    """Return the status line and the headers without `Date`, without the line ends after them.

    `changed` has other values for some of the headers.
    """
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [
        f"{name}: {changed.get(name, value)}"
        for name, value in response.headers.items()
        if name != "Date"
    ]
    return "\r\n".join(lines).encode("utf-8")
