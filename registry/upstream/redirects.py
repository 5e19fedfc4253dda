"""Redirects: to which addresses an upstream may send the mirror. Pure."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from registry.errors import UpstreamFaulty

MAX_REDIRECTS = 5
LOCAL_SUFFIXES = (".lan", ".local", ".internal", ".home.arpa")  # names that no public DNS has


@dataclass(frozen=True, slots=True)
class RedirectRules:
    """What an upstream may do beyond the usual, by the settings `allow_...` of the upstream `name`.

    `may_be_private`: send the mirror from a public host to a private address. `may_be_plain`: send
    it from https to http.
    """

    name: str = ""
    may_be_private: bool = False
    may_be_plain: bool = False

    def explain(self, setting: str) -> str:
        """Return the half sentence that says how to allow what was refused."""
        return f'to allow this, set {setting} = true in [upstreams."{self.name}"]'


USUAL = RedirectRules()


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL: the part that logs and errors may show."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class Choices:
    """The URLs to try for one that a server has named, best first; none if it is not allowed.

    `why_not` says which origin was left out because it has no TLS, and how to allow it.
    """

    urls: tuple[str, ...]
    why_not: str = ""


def follow(current: str, location: str, rules: RedirectRules = USUAL) -> Choices:
    """Return the URLs that `location` may mean in an answer from the URL `current`.

    Raises:
        UpstreamFaulty: the URL is not http(s), leads to http or to a private address without a
            permission in `rules`, contains credentials, or is not plain ASCII.
    """
    origin = origin_of(current)
    if not location or not location.isascii() or any(ord(char) <= 32 for char in location):
        raise UpstreamFaulty(origin, "redirects to something that is not a URL")
    try:
        url = location if "://" in location.partition("?")[0] else urljoin(current, location)
        after = urlsplit(url)
        is_address = bool(after.hostname) and after.port != 0
    except ValueError as error:
        raise UpstreamFaulty(origin, "redirects to something that is not a URL") from error
    if after.scheme not in ("http", "https") or not is_address or "@" in after.netloc:
        raise UpstreamFaulty(origin, "redirects to something that is not a web address")
    if leads_inside(current, url, rules):
        why = f"redirects to the private address {after.hostname}"
        raise UpstreamFaulty(origin, f"{why}; {rules.explain('allow_private_redirects')}")
    choices = list_choices(current, url, rules)
    if not choices.urls:
        raise UpstreamFaulty(origin, f"redirects from https to {choices.why_not}")
    return choices


def list_choices(current: str, url: str, rules: RedirectRules = USUAL) -> Choices:
    """Return the URLs to try for `url`, which the server at `current` has named.

    That is `url` itself, unless it leads from https to http. Then https on the same host is tried
    first, because a registry behind a proxy that ends TLS may not know of it. http is tried only if
    `rules` allow it.
    """
    before, after = urlsplit(current), urlsplit(url)
    if before.scheme != "https" or after.scheme != "http":
        return Choices((url,))
    secure = (_secure(before, after, url),) if before.hostname == after.hostname else ()
    if rules.may_be_plain:
        return Choices((*secure, url))
    return Choices(secure, f"{origin_of(url)}; {rules.explain('allow_http_redirects')}")


def _secure(before: SplitResult, after: SplitResult, url: str) -> str:
    """Return `url` with https; without a port, it is the port of `before`, where TLS is ended."""
    netloc = before.netloc if after.port in (None, 80) else after.netloc
    rest = url.split("://", 1)[1][len(after.netloc) :]
    return f"https://{netloc}{rest}"


def leads_inside(current: str, url: str, rules: RedirectRules = USUAL) -> bool:
    """Whether `url` is a private address, the server at `current` is public, and that is wrong.

    Link-local addresses are refused even if `rules` allow private ones: clouds have the credentials
    of the machine there.
    """
    host = urlsplit(url).hostname or ""
    if rules.may_be_private and not _is_link_local(host):
        return False
    return _is_private(host) and not _is_local(current)


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
    address = _read_address(host)
    return address is not None and not address.is_global


def _is_link_local(host: str) -> bool:
    address = _read_address(host.rstrip("."))
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_link_local


def _read_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        try:
            # The resolver also accepts these as addresses: 127.1, 0x7f000001, 2130706433.
            return ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            return None
