"""The page that a worker shows at `/` to a person with a browser."""

from typing import TYPE_CHECKING

from aiohttp import web

from registry.api.headers import VERSION
from registry.api.middleware import Notes
from registry.api.routes import ShowPage
from registry.console.browser_requests import wants_page
from registry.server.shared import SharedResources
from registry.settings.upstreams import builtin_upstreams

if TYPE_CHECKING:
    from registry.console.front_page import FrontPage

FILES = "/static/"
SETUP = "/setup/"  # before the name of a client


def make_front_page(shared: SharedResources) -> ShowPage:
    """Return what answers browsers, for one worker; its parts are imported when one asks."""
    made: list[FrontPage] = []

    def show(request: web.BaseRequest, notes: Notes) -> web.Response | None:
        if request.method not in ("GET", "HEAD"):
            return None
        is_page = notes.path == "/" and wants_page(request.headers.get("Accept", ""))
        if not is_page and not notes.path.startswith((FILES, SETUP)):
            return None
        if not made:
            made.append(_make(shared))
        if notes.path.startswith(FILES):
            return made[0].find_file(notes.path)
        scheme = "https" if notes.has_tls else "http"
        if notes.path.startswith(SETUP):
            return made[0].write_setup(notes.path.removeprefix(SETUP), scheme, notes.host)
        trouble = shared.heartbeats.explain_overload()
        return made[0].render(request, scheme, notes.host, trouble)

    return show


def _make(shared: SharedResources) -> "FrontPage":
    from registry.console.front_page import FrontPage  # noqa: PLC0415 - most workers need none

    address = shared.settings.server.listen
    needs_login = shared.settings.access.mode != "open"
    registries = tuple(shared.settings.upstreams)
    if needs_login:  # and nobody has logged in here: the names of others are no concern of theirs
        registries = tuple(name for name in registries if name in builtin_upstreams())
    return FrontPage(VERSION, str(address), registries, needs_login=needs_login)
