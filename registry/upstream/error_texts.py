"""What errors of the HTTP libraries mean, in words for people. Pure.

Their own messages name classes and repeat URLs, such as `<ContentLengthError: 400, message=...>`.
"""

import re

import httpx

BROKEN = "the connection broke"

_CUT = re.compile(r"received (\d+) (?:of (\d+) bytes|bytes, expected (\d+))")
_STATUS = re.compile(r"(\d{3}), message='([^']*)'.*")  # of aiohttp
_PARTS = (  # of messages of both libraries, and what they mean
    ("incomplete chunked read", f"{BROKEN} before the end of the answer"),
    ("payload is not completed", f"{BROKEN} before the end of the answer"),
    ("Server disconnected", "the connection was closed without an answer"),
)


def describe(error: BaseException) -> str:
    """Return what an error of httpx means, also if it has the message of an error of aiohttp."""
    text = str(error)
    if cut := _CUT.search(text):
        return f"{BROKEN} at {int(cut[1]):,} of {int(cut[2] or cut[3]):,} bytes"
    for part, meaning in _PARTS:
        if part in text:
            return meaning
    if isinstance(error, httpx.RemoteProtocolError):
        return "what it sends is not HTTP"
    if isinstance(error, httpx.ReadError | httpx.WriteError | httpx.CloseError):
        return BROKEN
    return _STATUS.sub(r"\1 \2", text) if " " in text else "no reason is known"
