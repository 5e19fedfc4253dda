"""The page that a person with a browser sees at the address of the mirror itself."""

from collections.abc import Sequence

from aiohttp import web

from registry.console.browser_requests import choose_language
from registry.console.languages import LANGUAGES
from registry.console.messages import load_messages
from registry.console.rendering import Renderer
from registry.console.security import LANGUAGE_COOKIE, add_security_headers, cookie_options
from registry.console.static_files import FOR_EVER, load_files
from registry.reports.console.setup import MirrorAddress, read_host
from registry.reports.console.setup_texts import list_snippets, write_setup


class FrontPage:
    """Says what this is, whether it answers, and how each client is pointed here."""

    def __init__(
        self, version: str, otherwise: str, registries: Sequence[str], *, needs_login: bool
    ) -> None:
        """`otherwise` is the address for who asks without naming one."""
        self._registries = registries
        self._version = version
        self._otherwise = otherwise
        self._needs_login = needs_login
        self._files = load_files()
        self._renderer = Renderer(load_messages(), self._files)

    def find_file(self, path: str) -> web.Response | None:
        """Return a file of the page; None if this is the path of none."""
        for each in self._files.values():
            if each.path == path:
                headers = {"Cache-Control": FOR_EVER, "Content-Type": each.media_type}
                response = web.Response(body=each.content, headers=headers)
                add_security_headers(response.headers, is_kept=True)
                return response
        return None

    def write_setup(self, client: str, scheme: str, host: str) -> web.Response | None:
        """Return what `entrepot setup` prints of a client; None if no such client is known."""
        found = write_setup(client, self._find_address(scheme, host), self._registries)
        if found is None:
            return None
        response = web.Response(text=found.text)
        add_security_headers(response.headers)
        return response

    def _find_address(self, scheme: str, host: str) -> MirrorAddress:
        return MirrorAddress(scheme, read_host(host, self._otherwise))

    def render(
        self, request: web.BaseRequest, scheme: str, host: str, trouble: str
    ) -> web.Response:
        """Return the page; a browser has asked for it by `scheme` and `host`.

        `trouble` is why some pulls cannot be answered, or "".
        """
        asked = request.query.get("lang", "")
        language = choose_language(
            asked,
            request.cookies.get(LANGUAGE_COOKIE, ""),
            request.headers.get("Accept-Language", ""),
        )
        address = self._find_address(scheme, host)
        text = self._renderer.render(
            "front",
            language,
            report=list_snippets(address, self._registries),
            trouble=trouble,
            needs_login=self._needs_login,
            version=self._version,
        )
        response = web.Response(text=text, content_type="text/html")
        add_security_headers(response.headers)
        if asked in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, language, **cookie_options(31536000))
        return response
