"""Where a redirect may lead, and what may travel along. Pure."""

import ipaddress
from urllib.parse import urljoin, urlsplit

from registry.errors import UpstreamFaulty

MAX_HOPS = 5


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL: what may be logged of it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def target_of(url: str) -> bytes:
    """Return the path and query of a URL byte for byte, as the request line must carry them."""
    rest = url.split("://", 1)[1].partition("#")[0]
    slash = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    target = rest[slash:]
    return (target if target.startswith("/") else f"/{target}").encode("ascii")


def follow(current: str, location: str) -> str:
    """Return where `location`, answered by `current`, leads.

    Raises:
        UpstreamFaulty: not http(s), from https to http, from a public host to a private address,
            with credentials in it, or not plain ASCII.
    """
    origin = origin_of(current)
    if not location or not location.isascii() or any(ord(char) <= 32 for char in location):
        raise UpstreamFaulty(origin, "redirects to something that is not a URL")
    url = location if "://" in location.partition("?")[0] else urljoin(current, location)
    before, after = urlsplit(current), urlsplit(url)
    if after.scheme not in ("http", "https") or not after.hostname or "@" in after.netloc:
        raise UpstreamFaulty(origin, "redirects to something that is not a web address")
    if before.scheme == "https" and after.scheme == "http":
        raise UpstreamFaulty(origin, f"redirects from https to {origin_of(url)}")
    if _is_private(after.hostname) and not _is_private(before.hostname or ""):
        raise UpstreamFaulty(origin, f"redirects to the private address {after.hostname}")
    return url


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False
