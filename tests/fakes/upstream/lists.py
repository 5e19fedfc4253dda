"""Lists of the registry host: tags in pages, and referrers."""

import base64
import json
from bisect import bisect_right
from urllib.parse import parse_qs, quote

from aiohttp import web

from tests.fakes.upstream.conduct import Conduct
from tests.fakes.upstream.content import Held
from tests.fakes.upstream.exchange import Exchange, Refusal
from tests.fakes.upstream.images import INDEX

JSON = "application/json"
LOGIN_PAGE = "/v3/signin/identifier"


async def serve_tags(
    exchange: Exchange, repository: str, tags: list[str], url: str
) -> web.StreamResponse:
    """Answer a page of tags; `url` is the URL of the registry."""
    conduct = exchange.conduct
    query = {name: values[-1] for name, values in parse_qs(exchange.entry.query).items()}
    number = "" if conduct.ignores_n else query.get("n", "")
    if number and not number.isdecimal():
        raise Refusal(400, "PAGINATION_NUMBER_INVALID", "n is not a number")
    if number and conduct.most_tags_asked is not None and int(number) > conduct.most_tags_asked:
        raise Refusal(400, "UNSUPPORTED", f"n must be at most {conduct.most_tags_asked}")
    left = tags[_find_start(tags, query, conduct) :]
    most = min(int(number or len(tags)), conduct.page_limit or len(tags))
    page = left[:most]
    headers = {"Content-Type": JSON}
    if page and len(page) < len(left) and conduct.link_style != "none":
        path = f"/v2/{quote(conduct.project + repository)}/tags/list"
        start = len(tags) - len(left) + len(page)
        headers["Link"] = _write_link(conduct, url, path, f"n={number}", page[-1], start)
    document = json.dumps({"name": repository, "tags": page}).encode()
    return await exchange.send_content(Held(document), headers)


def _find_start(tags: list[str], query: dict[str, str], conduct: Conduct) -> int:
    if "next_page" in query:
        return int(base64.urlsafe_b64decode(query["next_page"]).removeprefix(b"page "))
    if conduct.ignores_last or "last" not in query:
        return 0
    if conduct.link_style == "cursor" and query["last"].isdecimal():
        return int(query["last"])
    return bisect_right(tags, query["last"])


def _write_link(conduct: Conduct, url: str, path: str, number: str, last: str, start: int) -> str:
    by_name = f"{number}&last={quote(last)}"
    match conduct.link_style:
        case "absolute":
            return f'<{url}{path}?{by_name}>; rel="next"'
        case "inside":  # the host and the path behind the proxy
            return f'<http://registry.internal:8081/repository/hub{path}?{by_name}>; rel="next"'
        case "http":  # TLS is ended in front of the registry, which does not know of it
            return f'<{url.replace("https://", "http://")}{path}?{by_name}>; rel="next"'
        case "REL":
            return f"<{path}?{by_name}>; REL=Next"
        case "no rel":
            return f"<{path}?{by_name}>"
        case "token":  # not the name of a tag, but the place in the list
            token = base64.urlsafe_b64encode(f"page {start}".encode()).decode()
            return f'<{path}?next_page={quote(token)}&{number}>; rel="next"'
        case "cursor":  # the number of tags before the next page
            return f'<{path}?last={start}&{number}>; rel="next"'
    return f'<{path}?{by_name}>; rel="next"'


async def serve_referrers(
    exchange: Exchange, found: list[dict[str, object]], cdn_url: str
) -> web.StreamResponse:
    """Answer the list of the manifests that refer to a digest."""
    conduct = exchange.conduct
    if conduct.referrers_login:
        return await exchange.redirect(f"{cdn_url}{LOGIN_PAGE}?continue=referrers")
    if conduct.referrers_status is not None:
        raise Refusal(conduct.referrers_status, "UNSUPPORTED", "no such route")
    if not conduct.referrers_supported:
        return await exchange.reply(
            404, {"Content-Type": "text/plain; charset=utf-8"}, "404 page not found\n"
        )
    headers = {"Content-Type": conduct.referrers_type or INDEX["oci"]}
    wanted = parse_qs(exchange.entry.query).get("artifactType")
    if wanted:
        found = [one for one in found if one.get("artifactType") in wanted]
        headers["OCI-Filters-Applied"] = "artifactType"
    index = {"schemaVersion": 2, "mediaType": INDEX["oci"], "manifests": found}
    return await exchange.send_content(Held(json.dumps(index).encode()), headers)
