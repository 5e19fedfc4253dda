"""Lists in pages with `Link` headers (distribution-spec, "Listing Tags").

Only the query of a link is used, with our own path: registries behind a proxy name hosts and paths
that exist only inside. So a list is always read from the repository that was asked for.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, TypeVarTuple
from urllib.parse import quote, urlsplit

from registry.errors import Unknown, UpstreamFaulty
from registry.oci import media_types
from registry.upstream.contract import UpstreamList
from registry.upstream.documents import read_json
from registry.upstream.endpoint import Endpoint
from registry.upstream.failures import RequestRefused
from registry.upstream.link_header import find_next_link
from registry.upstream.request import Answer, Request, read_body

PAGE = 1000  # entries; ECR refuses to send more
MAX_PAGE = 4 * 1024 * 1024  # bytes; distribution 2 sends the whole list as one page
MAX_LIST = 16 * 1024 * 1024  # bytes of all pages of a list
MAX_PAGES = 1000
MAX_TAGS = 250_000  # more than any repository has
SMALL_LIST = 256 * 1024  # bytes; any number of lists that are no longer may be read at once
LARGE_AT_ONCE = 2  # lists of one upstream that are longer, because each may take 50 MiB
LONGEST = 20.0  # seconds for all pages; a question has 25 seconds
LONGEST_QUERY = 4096  # characters
LONGEST_ENTRY = 256  # characters of an entry that may be the `last` of a query
ROUND = 50  # registries that cut a list do so after 50, 100 or 1,000 entries
MAX_IDLE = 3  # pages without a new entry, after which no further page is asked for
Result = TypeVar("Result")
Parts = TypeVarTuple("Parts")


@dataclass(frozen=True, slots=True)
class Listing:
    """What to list, and how to read a page: a JSON object with a list under `key`.

    The path of `request` has no query. `is_entry` says whether a value of the list is kept, `noun`
    is the word for those that are. `media_type` is the content type of a page (empty: any).
    `has_last` says that a page can be asked for by the entry before it (`n` and `last`). At most
    `most` entries are kept. While a long list is read, it holds `gate`.
    """

    request: Request
    key: str
    is_entry: Callable[[Any], bool]
    noun: str
    gate: asyncio.Semaphore
    media_type: str = ""
    has_last: bool = False
    most: int = MAX_TAGS


@dataclass(slots=True)
class _Pages:
    """The entries that were read, the queries for them, and pages in a row without a new entry.

    `size` is the number of bytes that were read, and `refused` the number of values that are no
    entries. `is_cut` says that there were more entries than are kept.
    """

    listing: Listing
    entries: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    idle: int = 0
    size: int = 0
    refused: int = 0
    is_cut: bool = False

    @property
    def is_small(self) -> bool:
        """Whether the list is so short that nobody has to wait while it is read."""
        return self.size <= SMALL_LIST

    def add(self, page: Sequence[Any]) -> None:
        """Add the entries of a page that are new."""
        before = len(self.entries)
        for entry in page:
            if not self.listing.is_entry(entry):
                self.refused += 1
                continue
            name = entry if isinstance(entry, str) else json.dumps(entry, sort_keys=True)
            if len(self.entries) >= self.listing.most and name not in self.entries:
                self.is_cut = True
                break
            self.entries.setdefault(name, entry)
        self.idle = 0 if len(self.entries) > before else self.idle + 1

    def end(self, warning: str = "") -> UpstreamList:
        """Return the list; `warning` says why entries may be missing."""
        if self.refused:
            left_out = f"{self.refused} entries that are no {self.listing.noun} are left out"
            warning = f"{left_out}; {warning}" if warning else left_out
        return UpstreamList(list(self.entries.values()), warning)

    def is_too_long(self) -> bool:
        """Whether no further page is read."""
        return self.is_cut or len(self.asked) > MAX_PAGES or self.size > MAX_LIST


async def collect_pages(endpoint: Endpoint, listing: Listing) -> UpstreamList:
    """Return the entries of all pages; or, with a warning, those of the pages that were sent.

    Raises:
        UpstreamFaulty: a page is not a JSON object with a list.
        UpstreamError, Unknown: as for `Endpoint.request`.
    """
    async with AsyncExitStack() as stack:
        return await _collect(endpoint, listing, stack)


async def _collect(endpoint: Endpoint, listing: Listing, stack: AsyncExitStack) -> UpstreamList:
    clock = asyncio.get_running_loop().time
    until = clock() + LONGEST
    pages = _Pages(listing)
    query = size = f"n={PAGE}" if listing.has_last else ""
    while True:
        pages.asked.append(query)
        try:
            page, link = await _read_page(endpoint, pages, query, stack)
        except (RequestRefused, Unknown) as error:
            if pages.entries:
                return pages.end("the upstream refuses the rest of the list")
            if not query or isinstance(error, Unknown):
                raise
            query = size = ""  # the registry refuses `n`
            continue
        await _work(pages, pages.add, page)
        following = choose_next(link, page, pages.asked, size if listing.has_last else None)
        is_over = following is None or pages.idle >= MAX_IDLE or (pages.idle > 0 and link is None)
        if is_over and not pages.is_cut:
            is_last = following is None and (not page or (pages.idle == 0 and link is None))
            if is_last or (link is None and await _has_no_pages(endpoint, pages, stack)):
                return pages.end()
            return pages.end("the upstream repeats a page instead of the rest of the list")
        if following is None or clock() > until or pages.is_too_long():
            why = f"only the first {len(pages.entries)} entries: the list of the upstream is longer"
            return pages.end(why)
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
    if size is None or not is_cut or not page or not _may_be_last(page[-1]):
        return None
    by_last = f"{size}{'&' if size else ''}last={quote(page[-1], safe='')}"
    return None if by_last in asked else by_last


def _may_be_last(entry: object) -> bool:
    return isinstance(entry, str) and entry.isascii() and len(entry) <= LONGEST_ENTRY


def _read_query(url: str) -> str:
    """Return the query of a URL, if it can be sent; an empty text otherwise."""
    try:
        query = urlsplit(url).query
    except ValueError:
        return ""
    is_sendable = query.isascii() and query.isprintable() and " " not in query
    return query if is_sendable and len(query) <= LONGEST_QUERY else ""


async def _read_page(
    endpoint: Endpoint, pages: _Pages, query: str, stack: AsyncExitStack
) -> tuple[list[Any], str | None]:
    """Return the values of a page, and the URL of the next one."""
    listing = pages.listing
    path = f"{listing.request.path}?{query}" if query else listing.request.path
    before = pages.size

    async def note(count: int) -> None:
        was_small = pages.is_small
        pages.size += count
        if was_small and not pages.is_small:
            await stack.enter_async_context(listing.gate)

    async with endpoint.request(replace(listing.request, path=path)) as answer:
        body = await read_body(answer, MAX_PAGE, note)
        await note(max(0, len(body) - (pages.size - before)))  # it may have been compressed
        page = await _work(pages, _read_values, answer, body, listing)
        return page, find_next_link(answer.response.headers.get_list("link"))


async def _work(pages: _Pages, work: Callable[[*Parts], Result], *parts: *Parts) -> Result:
    """Do work on a page; that on a long list is done in a thread, as others would have to wait."""
    return work(*parts) if pages.is_small else await asyncio.to_thread(work, *parts)


async def _has_no_pages(endpoint: Endpoint, pages: _Pages, stack: AsyncExitStack) -> bool:
    """Whether a registry sends the whole list whatever is asked for, as distribution 2 does."""
    if not pages.listing.has_last:
        return False
    try:
        page, _ = await _read_page(endpoint, pages, "n=1", stack)
    except (RequestRefused, Unknown):
        return False
    return len(page) > 1


def _read_values(answer: Answer, body: bytes, listing: Listing) -> list[Any]:
    found = media_types.strip_parameters(answer.response.headers.get("content-type", ""))
    try:
        document = read_json(body)
        values = [] if document[listing.key] is None else document[listing.key]
    except (ValueError, KeyError, TypeError) as error:
        raise UpstreamFaulty(
            answer.origin, f"sends no list of {listing.key} (a captive portal?)"
        ) from error
    if not isinstance(values, list) or (listing.media_type and found != listing.media_type):
        raise UpstreamFaulty(answer.origin, f"sends no list of {listing.key}")
    return values
