"""Where a redirect may lead, and what may travel along. Pure."""

import ipaddress
import socket
from urllib.parse import urljoin, urlsplit

from registry.errors import UpstreamFaulty

MAX_HOPS = 5
LOCAL_SUFFIXES = (".lan", ".local", ".internal", ".home.arpa")  # names no public DNS has


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
    try:
        url = location if "://" in location.partition("?")[0] else urljoin(current, location)
        before, after = urlsplit(current), urlsplit(url)
        is_address = bool(after.hostname) and after.port != 0
    except ValueError as error:
        raise UpstreamFaulty(origin, "redirects to something that is not a URL") from error
    if after.scheme not in ("http", "https") or not is_address or "@" in after.netloc:
        raise UpstreamFaulty(origin, "redirects to something that is not a web address")
    if before.scheme == "https" and after.scheme == "http":
        raise UpstreamFaulty(origin, f"redirects from https to {origin_of(url)}")
    if leads_inside(current, url):
        raise UpstreamFaulty(origin, f"redirects to the private address {after.hostname}")
    return url


def leads_inside(current: str, url: str) -> bool:
    """Whether `url`, named by `current`, is a private address though `current` is public."""
    return _is_private(urlsplit(url).hostname or "") and not _is_local(current)


def _is_local(url: str) -> bool:
    """Whether a registry is one of the own network: by address, by name, or without TLS."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    is_local_name = ("." not in host and ":" not in host) or host.endswith(LOCAL_SUFFIXES)
    return parts.scheme == "http" or is_local_name or _is_private(host)


def _is_private(host: str) -> bool:
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            # What the resolver also takes for an address: 127.1, 0x7f000001, 2130706433.
            address = ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            return False
    return not address.is_global
