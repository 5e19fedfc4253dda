"""The headers that keep other sites away from these pages, and scripts out of them."""

from collections.abc import Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

LANGUAGE_COOKIE = "entrepot_language"
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self';"
            " object-src 'none'"
        ),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)


def add_security_headers(headers: MutableMapping[str, str], *, is_kept: bool = False) -> None:
    """Add them to an answer; unless it is to be kept, no cache keeps it."""
    headers.update(HEADERS)
    if not is_kept:
        headers["Cache-Control"] = "no-store"


def cookie_options(seconds: int | None) -> dict[str, Any]:
    """Return the options of a cookie that is kept so long; None: until the browser is closed."""
    return {"max_age": seconds, "path": "/", "httponly": True, "samesite": "Strict"}
