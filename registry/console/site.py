"""The pages of the console over HTTP: who may see them, in which form, with which headers."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from registry.console.browser_requests import choose_language, is_own_form, wants_json
from registry.console.changes import Changes
from registry.console.forms import read_form
from registry.console.languages import LANGUAGES
from registry.console.live import LiveFeed
from registry.console.messages import load_messages
from registry.console.page import Page
from registry.console.pages import Pages
from registry.console.rendering import Renderer
from registry.console.security import LANGUAGE_COOKIE, add_security_headers, cookie_options
from registry.console.static_files import FOR_EVER, PREFIX, load_files
from registry.console.views import draw_days, draw_space
from registry.console.visitors import COOKIE, Visitor, Visitors
from registry.errors import AccountUnknown, EntrepotError, InvalidInput, Unknown
from registry.reports.console.facts import ConsoleFacts
from registry.reports.json import format_json

_REFUSED = HTTPStatus.FORBIDDEN
_OF_ONE_VISIT = ("lang", "done", "freed", "n")  # values of addresses that no link repeats


@dataclass(frozen=True, slots=True)
class Visit:
    """A request, with who asks, and the language of the answer."""

    request: web.Request
    visitor: Visitor
    language: str


class Site:
    """Answers requests for pages, forms, files and events."""

    def __init__(
        self,
        facts: ConsoleFacts,
        pages: Pages,
        changes: Changes,
        visitors: Visitors,
        version: str,
    ) -> None:
        self._facts = facts
        self._pages = pages
        self._changes = changes
        self._visitors = visitors
        self._version = version
        self._files = load_files()
        self._by_path = {each.path: each for each in self._files.values()}
        self._renderer = Renderer(load_messages(), self._files)
        self._feed = LiveFeed(self._render_parts)
        self._changing: set[asyncio.Task[web.StreamResponse]] = set()

    def close(self) -> None:
        """End the answers that would not end by themselves."""
        self._feed.close()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if request.path.startswith(PREFIX):
            return self._send_file(request.path)
        language = choose_language(
            request.query.get("lang", ""),
            request.cookies.get(LANGUAGE_COOKIE, ""),
            request.headers.get("Accept-Language", ""),
        )
        visit = Visit(request, await self._visitors.find(request), language)
        try:
            response = await self._answer(visit)
        except (EntrepotError, OSError) as error:
            response = self._explain(visit, error)
        except UnicodeError:
            response = self._refuse_form(visit)
        if not response.prepared:
            add_security_headers(response.headers)
            if request.query.get("lang", "") in LANGUAGES:
                response.set_cookie(LANGUAGE_COOKIE, language, **cookie_options(31536000))
        return response

    async def _answer(self, visit: Visit) -> web.StreamResponse:
        if (visit.request.charset or "utf-8").lower() != "utf-8":  # our pages have UTF-8
            return self._refuse_form(visit)
        if visit.request.path == "/login":
            return await self._log_in(visit)
        if not visit.visitor.is_admitted:
            return self._ask_for_login(visit)
        if visit.request.method == "POST":
            # The server cancels what it does for a browser that has left; a change is done anyway.
            changing = asyncio.create_task(self._change(visit))
            self._changing.add(changing)
            changing.add_done_callback(self._changing.discard)
            return await asyncio.shield(changing)
        return await self._read(visit)

    async def _read(self, visit: Visit) -> web.StreamResponse:
        request = visit.request
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD, POST"})
        if request.path == "/live" and request.method == "GET":
            is_admitted = partial(self._visitors.is_still_admitted, visit.visitor)
            return await self._feed.answer(request, visit.language, is_admitted)
        make = self._pages.find(request.path)
        if make is None:
            return self._refuse(visit, "unknown", HTTPStatus.NOT_FOUND)
        return self._show(visit, await make(request))

    def _show(self, visit: Visit, page: Page) -> web.Response:
        if wants_json(visit.request.headers.get("Accept", "")):
            text = format_json(page.report)
            return web.Response(
                text=f"{text}\n", content_type="application/json", status=page.status
            )
        if page.text:
            return web.Response(text=page.text, status=page.status)
        values = self._describe_visit(visit) | {
            "current": page.path,
            "report": page.report,
            "draw_space": draw_space,
            "draw_days": draw_days,
            **page.values,
        }
        text = self._renderer.render(page.template, visit.language, **values)
        return web.Response(text=text, content_type="text/html", status=page.status)

    def _describe_visit(self, visit: Visit) -> dict[str, Any]:
        """Return the values that the layout of each page needs."""
        request, visitor = visit.request, visit.visitor
        query = [(key, value) for key, value in request.query.items() if key not in _OF_ONE_VISIT]
        path = request.rel_url.raw_path if request.method != "POST" else "/"
        path = f"/{path.lstrip('/')}"  # two slashes would lead to another site
        links = {each: f"{path}?{urlencode([*query, ('lang', each)])}" for each in LANGUAGES}
        return {
            "navigation": self._pages.navigation,
            "visitor": visitor,
            "has_login": self._visitors.has_login,
            "token": self._visitors.make_token(visitor),
            "version": self._version,
            "language_links": links,
        }

    def _explain(self, visit: Visit, error: EntrepotError | OSError) -> web.Response:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        if isinstance(error, InvalidInput):
            status = HTTPStatus.BAD_REQUEST
        elif isinstance(error, Unknown | AccountUnknown):
            status = HTTPStatus.NOT_FOUND
        return self._refuse(visit, "failed", status, str(error))

    def _refuse_form(self, visit: Visit) -> web.Response:
        why = "this is not a form of the console"
        return self._refuse(visit, "failed", HTTPStatus.BAD_REQUEST, why)

    def _refuse(self, visit: Visit, key: str, status: HTTPStatus, why: str = "") -> web.Response:
        """Return a page that says in one sentence why something was not done."""
        page = Page("problem", {"error": why or key}, "", {"key": key, "why": why}, status)
        return self._show(visit, page)

    async def _change(self, visit: Visit) -> web.StreamResponse:
        request, visitor = visit.request, visit.visitor
        form = await read_form(request)
        is_own = is_own_form(request.headers)
        if not is_own or not self._visitors.is_right(visitor, form.get("token")):
            return self._refuse(visit, "old_form", _REFUSED)
        if request.path == "/logout":
            self._visitors.end(visitor)
            response = _lead_to("/login")
            response.del_cookie(COOKIE, path="/")
            return response
        if not visitor.may_change:
            return self._refuse(visit, "read_only", _REFUSED)
        answer = await self._changes.carry_out(request.path, form, visitor.name)
        if answer is None:
            return self._refuse(visit, "unknown", HTTPStatus.NOT_FOUND)
        return _lead_to(answer) if isinstance(answer, str) else self._show(visit, answer)

    async def _log_in(self, visit: Visit) -> web.StreamResponse:
        request = visit.request
        if not self._visitors.has_login:
            return _lead_to("/")
        if request.method != "POST":
            return self._ask(visit, "", HTTPStatus.OK)
        form = await read_form(request)
        if not is_own_form(request.headers):
            return self._refuse(visit, "old_form", _REFUSED)
        try:
            operator = await self._visitors.log_in(form.choose("name", "password"), request.remote)
        except EntrepotError:  # whatever is wrong, the answer is the same
            return self._ask(visit, "login.wrong", _REFUSED)
        if not operator.is_allowed:
            return self._ask(visit, "login.not_admin", _REFUSED)
        response = _lead_to("/")
        response.set_cookie(COOKIE, self._visitors.begin(operator), **cookie_options(None))
        return response

    def _ask(self, visit: Visit, key: str, status: HTTPStatus) -> web.Response:
        """Return the page with the form of the login, and what was wrong with the last one."""
        page = Page("login", {"error": key or "login"}, "/login", {"key": key}, status)
        return self._show(visit, page)

    def _ask_for_login(self, visit: Visit) -> web.StreamResponse:
        if wants_json(visit.request.headers.get("Accept", "")):
            return self._refuse(visit, "login.needed", HTTPStatus.UNAUTHORIZED)
        return _lead_to("/login")

    def _send_file(self, path: str) -> web.Response:
        found = self._by_path.get(path)
        if found is None:
            return web.Response(status=404)
        headers = {"Cache-Control": FOR_EVER, "Content-Type": found.media_type}
        response = web.Response(body=found.content, headers=headers)
        add_security_headers(response.headers, is_kept=True)
        return response

    async def _render_parts(self, language: str) -> Mapping[str, str]:
        """Return the parts of pages that change while somebody looks at them.

        If the catalog or the disk cannot be read at the moment, nothing changes.
        """
        try:
            values: dict[str, Any] = {
                "health": await self._facts.judge(),
                "space": self._facts.read_space(),
                "downloads": self._facts.take_downloads(),
                "draw_space": draw_space,
            }
        except (EntrepotError, OSError):
            return {}
        names = ("health", "space", "downloads")
        return {name: self._renderer.render(f"_{name}", language, **values) for name in names}


def _lead_to(path: str) -> web.Response:
    """Return an answer that leads a browser to another page, also after a POST."""
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})
