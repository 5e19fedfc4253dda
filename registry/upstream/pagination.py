"""Lists in pages with `Link` headers (RFC 8288; distribution-spec, "Listing Tags")."""

import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

from registry.errors import UpstreamFaulty
from registry.oci import media_types
from registry.upstream.endpoint import Endpoint
from registry.upstream.request import Answer, Request, read_body

MAX_PAGE = 8 * 1024 * 1024  # bytes
MAX_PAGES = 200  # of 1,000 entries each: more than any repository at Docker Hub has tags
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="?next"?')


async def collect_pages(
    endpoint: Endpoint, request: Request, key: str, media_type: str
) -> list[Any]:
    """Return the entries of the lists under `key` of all pages.

    `media_type` is the content type that every page must have (empty: any).

    Raises:
        UpstreamFaulty: a page is not a JSON object with a list, the next page is on another host or
            outside of `/v2/`, or there are more than `MAX_PAGES` pages.
        UpstreamError, Unknown: as for `Endpoint.request`.
    """
    entries: list[Any] = []
    for _ in range(MAX_PAGES):
        async with endpoint.request(request) as answer:
            entries += _read_page(answer, await read_body(answer, MAX_PAGE), key, media_type)
            following = _next_path(answer, endpoint)
        if following is None:
            return entries
        request = replace(request, path=following)
    raise UpstreamFaulty(endpoint.origin, f"lists more than {MAX_PAGES} pages")


def _read_page(answer: Answer, body: bytes, key: str, media_type: str) -> list[Any]:
    found = media_types.strip_parameters(answer.response.headers.get("content-type", ""))
    try:
        document = json.loads(body)
        entries = [] if document[key] is None else document[key]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UpstreamFaulty(
            answer.origin, f"sends no list of {key} (a captive portal?)"
        ) from error
    if not isinstance(entries, list) or (media_type and found != media_type):
        raise UpstreamFaulty(answer.origin, f"sends no list of {key}")
    return entries


def _next_path(answer: Answer, endpoint: Endpoint) -> str | None:
    link = _NEXT.search(answer.response.headers.get("link", ""))
    if link is None:
        return None
    base = f"{endpoint.base}/v2/"
    try:
        url: str = urljoin(answer.url, link[1])
    except ValueError as error:
        raise UpstreamFaulty(
            endpoint.origin, "continues its list at something that is not a URL"
        ) from error
    if not url.startswith(base) or not url.isascii():
        raise UpstreamFaulty(endpoint.origin, "continues its list on another host")
    return url.removeprefix(base)
