"""Lists in pages with `Link` headers (RFC 8288; distribution-spec, "Listing Tags").

Only the query of a link is used, with our own path: registries behind a proxy name hosts and paths
that exist only inside. So a list is always read from the repository that was asked for.
"""

import asyncio
import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlsplit

from registry.errors import Unknown, UpstreamFaulty
from registry.oci import media_types
from registry.upstream.contract import UpstreamList
from registry.upstream.endpoint import Endpoint
from registry.upstream.failures import RequestRefused
from registry.upstream.request import Answer, Request, read_body

PAGE = 1000  # entries; ECR refuses to send more
MAX_PAGE = 8 * 1024 * 1024  # bytes
MAX_PAGES = 1000
MAX_ENTRIES = 500_000  # more tags than any repository has
LONGEST = 20.0  # seconds for all pages; a question has 25 seconds
LONGEST_QUERY = 4096  # characters
ROUND = 50  # registries that cut a list do so after 50, 100 or 1,000 entries
IDLE = 3  # pages without a new entry, after which no further page is asked for

_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^;,="\s]+(?:\s*=\s*(?:"[^"]*"|[^;,"\s]*))?)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^;,"\s]*))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Listing:
    """What to list, and how to read a page: a JSON object with a list under `key`.

    The path of `request` has no query. `media_type` is the content type of a page (empty: any).
    `has_last` says that a page can be asked for by the entry before it (`n` and `last`).
    """

    request: Request
    key: str
    media_type: str = ""
    has_last: bool = False


@dataclass(slots=True)
class _Pages:
    """The entries that were read, the queries for them, and pages in a row without a new entry."""

    entries: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    idle: int = 0
    _seen: set[str] = field(default_factory=set)

    def add(self, page: Sequence[Any]) -> None:
        """Add the entries of a page that are new."""
        before = len(self.entries)
        for entry in page:
            name = entry if isinstance(entry, str) else json.dumps(entry, sort_keys=True)
            if name not in self._seen:
                self._seen.add(name)
                self.entries.append(entry)
        self.idle = 0 if len(self.entries) > before else self.idle + 1


async def collect_pages(endpoint: Endpoint, listing: Listing) -> UpstreamList:
    """Return the entries of all pages; or, with a warning, those of the pages that were sent.

    Raises:
        UpstreamFaulty: a page is not a JSON object with a list.
        UpstreamError, Unknown: as for `Endpoint.request`.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + LONGEST
    pages = _Pages()
    query = size = f"n={PAGE}" if listing.has_last else ""
    while True:
        pages.asked.append(query)
        try:
            page, link = await _read_page(endpoint, listing, query)
        except (RequestRefused, Unknown) as error:
            if pages.entries:
                return UpstreamList(pages.entries, "the upstream refuses the rest of the list")
            if not query or isinstance(error, Unknown):
                raise
            query = size = ""  # the registry refuses `n`
            continue
        pages.add(page)
        following = choose_next(link, page, pages.asked, size if listing.has_last else None)
        if following is None or pages.idle >= IDLE or (pages.idle > 0 and link is None):
            is_last = following is None and (not page or (pages.idle == 0 and link is None))
            if is_last or (link is None and await _has_no_pages(endpoint, listing)):
                return UpstreamList(pages.entries)
            why = "the upstream repeats a page instead of the rest of the list"
            return UpstreamList(pages.entries, why)
        if clock() > until or len(pages.asked) > MAX_PAGES or len(pages.entries) > MAX_ENTRIES:
            why = f"only the first {len(pages.entries)} entries: the list of the upstream is longer"
            return UpstreamList(pages.entries, why)
        query = following


def choose_next(
    link: str | None, page: Sequence[Any], asked: Collection[str], size: str | None
) -> str | None:
    """Return the query of the next page; None if no other page can be asked for.

    `link` is the URL of the next page, if the page names one. If the URL is of no use, or if the
    page may be cut and names none, the next page begins after the last entry. `size` is the query
    for the size of a page, and None if a page cannot be asked for by the entry before it.
    """
    by_link = _read_query(link) if link is not None else ""
    if by_link and by_link not in asked:
        return by_link
    is_cut = link is not None or (len(page) > 0 and len(page) % ROUND == 0)
    if size is None or not is_cut or not page or not isinstance(page[-1], str):
        return None
    by_last = f"{size}{'&' if size else ''}last={quote(page[-1], safe='')}"
    return None if by_last in asked else by_last


def find_next_link(headers: Iterable[str]) -> str | None:
    """Return the URL of the next page in `Link` headers; None if there is none.

    Some registries send a link without `rel`, which can only be the next page.
    """
    found = [match for header in headers for match in _LINK.finditer(header)]
    for match in found:
        relations = [quoted or bare for quoted, bare in _REL.findall(match[2])]
        if any("next" in relation.lower().split() for relation in relations):
            return str(match[1])
    bare = [str(match[1]) for match in found if not _REL.search(match[2])]
    return bare[0] if bare else None


def _read_query(url: str) -> str:
    """Return the query of a URL, if it can be sent; an empty text otherwise."""
    try:
        query = urlsplit(url).query
    except ValueError:
        return ""
    is_sendable = query.isascii() and query.isprintable() and " " not in query
    return query if is_sendable and len(query) <= LONGEST_QUERY else ""


async def _read_page(
    endpoint: Endpoint, listing: Listing, query: str
) -> tuple[list[Any], str | None]:
    """Return the entries of a page, and the URL of the next one."""
    path = f"{listing.request.path}?{query}" if query else listing.request.path
    async with endpoint.request(replace(listing.request, path=path)) as answer:
        page = _read_entries(answer, await read_body(answer, MAX_PAGE), listing)
        return page, find_next_link(answer.response.headers.get_list("link"))


async def _has_no_pages(endpoint: Endpoint, listing: Listing) -> bool:
    """Whether a registry sends the whole list whatever is asked for, as distribution 2 does."""
    if not listing.has_last:
        return False
    try:
        page, _ = await _read_page(endpoint, listing, "n=1")
    except (RequestRefused, Unknown):
        return False
    return len(page) > 1


def _read_entries(answer: Answer, body: bytes, listing: Listing) -> list[Any]:
    found = media_types.strip_parameters(answer.response.headers.get("content-type", ""))
    try:
        document = json.loads(body)
        entries = [] if document[listing.key] is None else document[listing.key]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UpstreamFaulty(
            answer.origin, f"sends no list of {listing.key} (a captive portal?)"
        ) from error
    if not isinstance(entries, list) or (listing.media_type and found != listing.media_type):
        raise UpstreamFaulty(answer.origin, f"sends no list of {listing.key}")
    return entries
