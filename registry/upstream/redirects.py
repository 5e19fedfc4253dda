"""Redirects: to which addresses an upstream may send the mirror. Pure."""

import re
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from registry.errors import UpstreamFaulty
from registry.upstream.addresses import Reach, find_reach, reach_of, read_address

MAX_REDIRECTS = 5
MAX_HOST = 253  # characters of a host name (RFC 1035 section 2.3.4)
# Labels with an underscore are no host names, but container networks have them.
_HOST = re.compile(r"(?:\w(?:[\w-]{0,61}\w)?\.)*[\w-]{1,63}\.?", re.ASCII)

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")  # RFC 3986 section 3.1


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

    def find_reach(self, url: str, peer: str = "") -> Reach:
        """Return how far inside the server at `url` may send the mirror.

        `peer` is the address of that server; it is not known if a proxy connects to it. Only a
        server inside may lead there, and only a server at a link-local address to another one.
        """
        address = read_address(peer)
        here = find_reach(urlsplit(url).hostname or "") if address is None else reach_of(address)
        return max(here, Reach.LOCAL if self.may_be_private else Reach.PUBLIC)


USUAL = RedirectRules()


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL: the part that logs and errors may show."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class Choices:
    """The URLs to try for one that a server has named, best first; none if it is not allowed.

    `why_not` says which origin was left out because it has no TLS, and how to allow it. `reach` is
    how far inside the connection may lead; None for the URL of an endpoint, which the operator has
    chosen.
    """

    urls: tuple[str, ...] = field(repr=False)  # these may be signed
    why_not: str = ""
    reach: Reach | None = None


def follow(current: str, location: str, rules: RedirectRules = USUAL, peer: str = "") -> Choices:
    """Return the URLs that `location` may mean in an answer from the URL `current`.

    `peer` is the address that sent the answer (empty: not known).

    Raises:
        UpstreamFaulty: the URL is not http(s), leads to http or to a private address without a
            permission in `rules`, contains credentials, or is not plain ASCII.
    """
    origin = origin_of(current)
    if not location or not location.isascii() or any(ord(char) <= 32 for char in location):
        raise UpstreamFaulty(origin, "redirects to something that is not a URL")
    try:
        url = location if _ABSOLUTE.match(location) else urljoin(current, location)
    except ValueError as error:
        raise UpstreamFaulty(origin, "redirects to something that is not a URL") from error
    if not is_web_address(url) or "@" in urlsplit(url).netloc:
        raise UpstreamFaulty(origin, "redirects to something that is not a web address")
    reach = rules.find_reach(current, peer)
    if leads_inside(url, reach):
        why = f"redirects to the private address {urlsplit(url).hostname}"
        raise UpstreamFaulty(origin, f"{why}; {rules.explain('allow_private_redirects')}")
    choices = list_choices(current, url, rules)
    if not choices.urls:
        raise UpstreamFaulty(origin, f"redirects from https to {choices.why_not}")
    return replace(choices, reach=reach)


def is_web_address(url: str) -> bool:
    """Whether a URL is http or https, with a host that a resolver accepts."""
    try:
        parts = urlsplit(url)
        is_usable = bool(parts.hostname and httpx.URL(url).host) and parts.port != 0
    except (ValueError, httpx.InvalidURL):  # also a name that IDNA refuses
        return False
    host = parts.hostname or ""
    is_host = ":" in host or (len(host) <= MAX_HOST and _HOST.fullmatch(host) is not None)
    return is_usable and is_host and parts.scheme in ("http", "https")


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


def leads_inside(url: str, reach: Reach) -> bool:
    """Whether the host of `url` shows that the URL leads further inside than `reach`.

    The address of the connection is checked too: see `AddressGuard`.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    is_this_machine = host == "localhost" or host.endswith(".localhost")
    if read_address(host) is None and not is_this_machine:
        return False  # a local name may have a public address
    return find_reach(host) > reach
