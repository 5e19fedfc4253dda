"""The answer to a client for whom there is no room; it needs no request and no event loop."""

from registry.api import errors
from registry.api.headers import add_common_headers
from registry.api.repeated_answers import write_head


def write_overloaded() -> bytes:
    """Return the bytes of the answer: the specification's JSON, with `Retry-After`."""
    response = errors.render_overloaded()
    add_common_headers(response.headers, "")
    response.headers["Connection"] = "close"
    body = response.body if isinstance(response.body, bytes) else b""
    response.headers["Content-Length"] = str(len(body))
    return write_head(response) + b"\r\n\r\n" + body
