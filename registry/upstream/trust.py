"""Which authorities of certificates are trusted; reading them takes about 50 ms and 1 MiB."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module


@cache
def trust_system() -> ssl.SSLContext:
    """Return the TLS context that trusts the system's authorities; it is made once.

    `trust_system.cache_clear()` makes the next call read them again.
    """
    return ssl.create_default_context()


def import_aiohttp() -> None:
    """Import aiohttp, which would read the authorities too, for requests without a context.

    Every request of this program has a context. One without it would trust nobody.
    """
    with _trust_nobody():
        import_module("aiohttp")


@contextmanager
def _trust_nobody() -> Iterator[None]:
    original = ssl.create_default_context
    ssl.create_default_context = lambda *_, **__: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        yield
    finally:
        ssl.create_default_context = original
