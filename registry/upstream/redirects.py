"""Redirects: which addresses an upstream may redirect to. Pure."""

import ipaddress
import socket
from urllib.parse import urljoin, urlsplit

from registry.errors import UpstreamFaulty

MAX_REDIRECTS = 5
LOCAL_SUFFIXES = (".lan", ".local", ".internal", ".home.arpa")  # names that no public DNS has


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL: the part that logs and errors may show."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def follow(current: str, location: str) -> str:
    """Return the URL that `location` means in an answer from the URL `current`.

    Raises:
        UpstreamFaulty: the URL is not http(s), leads from https to http or from a public host to a
            private address, contains credentials, or is not plain ASCII.
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
    """Whether `url` is a private address, and the server at `current` is public."""
    return _is_private(urlsplit(url).hostname or "") and not _is_local(current)


def _is_local(url: str) -> bool:
    """Whether a server is in the local network, because of its address, its name, or no TLS."""
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
            # The resolver also accepts these as addresses: 127.1, 0x7f000001, 2130706433.
            address = ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            return False
    return not address.is_global
