"""Answers to clients whose request is not read; they need no request and no event loop."""

from aiohttp import web

from registry.api import errors
from registry.api.headers import add_common_headers
from registry.api.response_heads import write_head


def write_overloaded() -> bytes:
    """Return the bytes of the answer: the specification's JSON, with `Retry-After`."""
    return _write(errors.render_overloaded())


def write_plain_http() -> bytes:
    """Return the bytes of the answer to plain HTTP where TLS is spoken."""
    return _write(errors.render_plain_http())


def _write(response: web.Response) -> bytes:
    add_common_headers(response.headers, "")
    response.headers["Connection"] = "close"
    body = response.body if isinstance(response.body, bytes) else b""
    response.headers["Content-Length"] = str(len(body))
    return write_head(response) + b"\r\n\r\n" + body
