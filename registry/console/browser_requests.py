"""What a browser says in its request: which language, page or JSON, and from which site. Pure."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from registry.console.languages import DEFAULT, LANGUAGES

JSON = "application/json"
HTML = "text/html"
_OWN_SITES = frozenset({"same-origin", "none"})  # none: typed by the person, or a bookmark


def choose_language(asked: str, kept: str, accepted: str) -> str:
    """Return a language that there is: the one that was asked for, else kept, else accepted.

    `accepted` is the value of `Accept-Language` (RFC 9110, 12.5.4).
    """
    for choice in (asked, kept, *_sort_accepted(accepted)):
        language = choice.partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return DEFAULT


def _sort_accepted(header: str) -> list[str]:
    found = []
    for part in header.split(",")[:20]:
        name, _, weight = part.strip().partition(";q=")
        try:
            found.append((-float(weight or 1), name))
        except ValueError:
            continue
    return [name for _, name in sorted(found, key=lambda each: each[0])]


def wants_json(accept: str) -> bool:
    """Whether an answer shall be JSON, by the value of `Accept`."""
    types = _list_types(accept)
    return JSON in types and HTML not in types


def wants_page(accept: str) -> bool:
    """Whether the header `Accept` asks for HTML, as browsers do and other clients do not."""
    return HTML in _list_types(accept)


def _list_types(accept: str) -> set[str]:
    return {part.partition(";")[0].strip().lower() for part in accept.split(",")}


def is_own_form(headers: Mapping[str, str]) -> bool:
    """Whether the form of a POST may be from a page of this console.

    Browsers say from which site a request comes (Fetch Metadata); older ones send `Origin`.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _OWN_SITES
    origin = headers.get("Origin", "null")
    return origin == "null" or urlsplit(origin).netloc == headers.get("Host", "")


def is_loopback(address: str | None) -> bool:
    """Whether the address of a client is one of this machine."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
