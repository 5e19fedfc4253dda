"""Laws of the words for errors of the HTTP libraries: no name of a class, and no URL."""

import re

import httpx
import pytest

from registry.upstream.error_texts import BROKEN, describe

_LENGTH = "<ContentLengthError: 400, message='Not enough data to satisfy content length header"
_CHUNKS = "<TransferEncodingError: 400, message='Not enough data to satisfy transfer length header"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            httpx.RemoteProtocolError(
                f"Response payload is not completed: {_LENGTH} (received 728607 of 894657 bytes).'>"
            ),
            f"{BROKEN} at 728,607 of 894,657 bytes",
        ),
        (
            httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body (received 1 bytes,"
                " expected 2000)"
            ),
            f"{BROKEN} at 1 of 2,000 bytes",
        ),
        (
            httpx.RemoteProtocolError(f"Response payload is not completed: {_CHUNKS}.'>"),
            f"{BROKEN} before the end of the answer",
        ),
        (
            httpx.RemoteProtocolError("peer closed connection (incomplete chunked read)"),
            f"{BROKEN} before the end of the answer",
        ),
        (
            httpx.RemoteProtocolError("Server disconnected without sending a response."),
            "the connection was closed without an answer",
        ),
        (
            httpx.RemoteProtocolError("illegal status line: bytearray(b'SSH-2.0')"),
            "what it sends is not HTTP",
        ),
        (
            httpx.RemoteProtocolError("400, message='Bad status line', url='http://h/?sig=1'"),
            "what it sends is not HTTP",
        ),
        (httpx.ProxyError("407, message='Login First', url='http://p'"), "407 Login First"),
        (httpx.ReadError(""), BROKEN),
        (httpx.ReadError("Cannot write to closing transport"), BROKEN),
        (httpx.ConnectError("ConnectError"), "no reason is known"),
        (httpx.ConnectError("All connection attempts failed"), "All connection attempts failed"),
    ],
)
def test_errors_are_described(error: Exception, words: str) -> None:
    """The same words for both libraries."""
    assert describe(error) == words
    assert re.search(r"[A-Z]\w+Error|message=|://|bytearray", words) is None
