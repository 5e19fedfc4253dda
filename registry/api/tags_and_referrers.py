"""Lists: the tags of a repository, the referrers of a manifest, and the stored repositories."""

import asyncio
import json
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from registry.api.headers import ORIGIN, warning_headers
from registry.api.middleware import Notes
from registry.mirror.mirror_rules import MaySee
from registry.mirror.repository_list import RepositoryList
from registry.mirror.tags_and_referrers import TagsAndReferrers
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.oci.pagination import Page, cut_page, parse_count

CATALOG_PAGE = 1000  # entries of a page of repositories, at most
TAGS_PAGE = 10_000  # entries of a page of tags, at most: a registry may have 250,000
STEP = 500  # tags that are looked at without a break for other work: some milliseconds


def see_all(_repository: str, _tag: str | None) -> bool:
    """Whether a client may see something, if it may see everything."""
    return True


async def answer_tags(
    request: web.BaseRequest,
    notes: Notes,
    lists: TagsAndReferrers,
    repository: Repository,
    may_see: MaySee,
) -> web.Response:
    """Answer one page of a repository's tags (distribution-spec, "Listing Tags").

    Tags that the client may not see are left out.
    """
    wanted, last = parse_count(request.query.get("n")), request.query.get("last")
    count = TAGS_PAGE if wanted is None else min(wanted, TAGS_PAGE)
    async with lists.take_turn(repository):
        served = await lists.list_tags(repository, notes.client)
        seen = await find_visible(served.entries, str(repository), may_see, count, last)
    page = cut_page(seen, count, last)
    response = _answer_page(request, page, {"name": repository.name, "tags": page.entries}, count)
    response.headers.update(warning_headers(served.warning))
    response.headers[ORIGIN] = served.origin.value
    return response


async def find_visible(
    tags: Sequence[str], repository: str, may_see: MaySee, count: int, last: str | None
) -> list[str]:
    """Return the tags after `last` that a client may see: at least one more than `count`, or all.

    It is done in steps, since there may be 250,000 tags.
    """
    seen: list[str] = []
    start = bisect_right(tags, last) if last else 0
    while start < len(tags) and len(seen) <= count:
        if start:
            await asyncio.sleep(0)
        seen += (tag for tag in tags[start : start + STEP] if may_see(repository, tag))
        start += STEP
    return seen


async def answer_catalog(
    request: web.BaseRequest, repositories: RepositoryList, may_see: MaySee
) -> web.Response:
    """Answer one page of the stored repositories, by the names under which this mirror has them.

    Repositories that the client may not see are left out.
    """
    wanted = parse_count(request.query.get("n"))
    count = CATALOG_PAGE if wanted is None else min(wanted, CATALOG_PAGE)
    found = await repositories.find_page(count, request.query.get("last"), may_see)
    response = _answer_page(request, found.page, {"repositories": found.page.entries}, count)
    response.headers.update(warning_headers(found.warning))
    return response


async def answer_referrers(
    request: web.BaseRequest,
    notes: Notes,
    lists: TagsAndReferrers,
    repository: Repository,
    digest: Digest,
) -> web.Response:
    """Answer the manifests that refer to `digest` (distribution-spec, "Listing Referrers")."""
    async with lists.take_turn(repository, str(digest)):
        served = await lists.list_referrers(repository, digest, notes.client)
        headers = {ORIGIN: served.origin.value} | warning_headers(served.warning)
        entries: Sequence[Any] = served.entries
        wanted = request.query.get("artifactType")
        if wanted:
            entries = [each for each in entries if each.get("artifactType") == wanted]
            headers["OCI-Filters-Applied"] = "artifactType"
        index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
        # No charset may follow: clients would then believe that the API is not supported.
        headers["Content-Type"] = media_types.OCI_INDEX
        return web.Response(body=json.dumps(index).encode(), headers=headers)


def _answer_page(
    request: web.BaseRequest, page: Page, document: dict[str, Any], count: int
) -> web.Response:
    headers = {"Content-Type": media_types.JSON}
    if page.next_last is not None:
        # The link repeats the path and parameters of the request, so that it keeps `ns` or a
        # prefix.
        query = dict(request.query) | {"n": str(count), "last": page.next_last}
        headers["Link"] = f'<{request.rel_url.raw_path}?{urlencode(query)}>; rel="next"'
    return web.Response(body=json.dumps(document).encode(), headers=headers)
