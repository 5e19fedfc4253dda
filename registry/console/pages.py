"""The pages: which template and which facts belong to a path."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from registry.access.shown_addresses import show_whole
from registry.console.accounts import CHANGES, AccountPages
from registry.console.accounts import LIST as ACCOUNTS
from registry.console.actions import OF_TAGS, Action, read_action, read_image
from registry.console.page import Page
from registry.console.selection import LIST_FIELDS
from registry.errors import ImageUnknown, InvalidInput
from registry.oci.digest import Digest
from registry.oci.names import format_image
from registry.reports.console.facts import ConsoleFacts
from registry.reports.console.image_detail import ImageDetail
from registry.reports.console.image_reader import ImageReader
from registry.reports.console.images import ImageQuery, ImageRow
from registry.reports.console.setup import MirrorAddress, find_address
from registry.reports.console.setup_texts import list_snippets, write_setup

SETUP = "/setup/"  # before the name of a client: what `entrepot setup` prints
LONGEST = 300  # characters of a text that is searched for
NAVIGATION = ("/", "/images", "/upstreams", "/clients", "/setup", "/events")


class Pages:
    """Makes the pages that only show something."""

    def __init__(
        self,
        facts: ConsoleFacts,
        reader: ImageReader,
        listen: tuple[str, int],
        registries: Sequence[str],
        accounts: AccountPages | None = None,
        *,
        has_tls: bool,
    ) -> None:
        """The mirror listens at `listen`, a host and a port, and mirrors these registries.

        Without `accounts`, there are no pages of them.
        """
        self.navigation = NAVIGATION if accounts is None else (*NAVIGATION, ACCOUNTS)
        self._accounts = accounts
        self._registries = registries
        self._facts = facts
        self._reader = reader
        self._listen = listen
        self._has_tls = has_tls

    def find(self, path: str) -> Callable[[web.Request], Awaitable[Page]] | None:
        """Return what makes the page of a path; None if there is none."""
        if path.startswith("/actions/"):
            return self._confirm
        if self._accounts is not None and path in (ACCOUNTS, *CHANGES):
            return self._accounts.read
        if path.startswith(SETUP):
            return self._write_setup
        pages = {
            "/": self._show_overview,
            "/images": self._list_images,
            "/image": self._show_image,
            "/upstreams": self._list_upstreams,
            "/clients": self._list_clients,
            "/setup": self._show_setup,
            "/events": self._list_events,
        }
        return pages.get(path)

    async def _show_overview(self, _: web.Request) -> Page:
        return Page("overview", await self._facts.read_overview(), "/")

    async def _list_images(self, request: web.Request) -> Page:
        asked = request.query
        query = ImageQuery(
            text=asked.get("q", "").strip()[:LONGEST],
            registry=asked.get("upstream", "")[:LONGEST],
            sort=asked.get("sort", "name"),
            after=asked.get("after", ""),
            is_pinned=asked.get("pinned", "") == "1",
            is_gone=asked.get("gone", "") == "1",
            repository=asked.get("in", "")[:LONGEST],
        )
        values = {
            "is_first": not query.after,
            "done": asked.get("done", ""),
            "freed": _read_number(asked.get("freed", "")),
            "count": _read_number(asked.get("n", "")),
            "shown": urlencode({key: asked[key] for key in LIST_FIELDS if asked.get(key)}),
        }
        if query.sort == "group" and not query.is_gone:
            return Page("groups", await self._facts.list_groups(query), "/images", values)
        return Page("images", await self._facts.list_images(query), "/images", values)

    async def _show_image(self, request: web.Request) -> Page:
        detail = await self._describe(request.query.get("name", ""))
        done = request.query.get("done", "")
        return Page("image", detail, "/images", {"done": done})

    async def _describe(self, name: str) -> ImageDetail:
        return await self._reader.describe(*read_image(name))

    async def _confirm(self, request: web.Request) -> Page:
        """Return the page that says what an action will do.

        Raises:
            InvalidInput: there is no such action.
            ImageUnknown: the image is not known here.
        """
        asked = request.query
        verb = request.path.removeprefix("/actions/")
        asked_name, digest = asked.get("name", ""), asked.get("digest", "")
        action = read_action(verb, asked_name, digest, asked.get("platform", ""))
        detail: ImageDetail | None = None
        try:
            detail = await self._reader.describe(action.repository, action.reference)
        except ImageUnknown:
            if verb != "fetch":
                raise
        name = format_image(action.repository, action.reference)
        values: dict[str, Any] = {"action": action, "image": name}
        if verb == "fetch":
            where, what = action.repository, action.reference
            values["plan"] = self._reader.plan_fetch(where, what, detail, action.platform)
        if verb in OF_TAGS and detail is not None:
            upstream = detail.history.upstream if detail.history else ""
            values["target"] = await self._find_served(action, action.digest or upstream)
        return Page("confirm", detail, "/images", values)

    async def _find_served(self, action: Action, digest: str) -> ImageRow | None:
        """Return how much is stored of the image that a tag will serve; None if it is not known."""
        try:
            found = await self._reader.describe(action.repository, Digest.parse(digest))
        except (ImageUnknown, InvalidInput):
            return None
        return found.image

    async def _list_upstreams(self, _: web.Request) -> Page:
        return Page("upstreams", await self._facts.list_upstreams(), "/upstreams")

    async def _list_clients(self, request: web.Request) -> Page:
        text = request.query.get("q", "").strip()[:LONGEST]
        after = request.query.get("after", "")
        asked_by = show_whole(request.remote) or ""
        report = await self._facts.list_clients(text, after, asked_by)
        return Page("clients", report, "/clients", {"is_first": not after})

    async def _show_setup(self, request: web.Request) -> Page:
        return Page("setup", list_snippets(self._find(request), self._registries), "/setup")

    async def _write_setup(self, request: web.Request) -> Page:
        """Return what `entrepot setup` prints of a client.

        Raises:
            InvalidInput: no such client is known.
        """
        client = request.path.removeprefix(SETUP)
        found = write_setup(client, self._find(request), self._registries)
        if found is None:
            raise InvalidInput(f"no such client is known: {client[:40]}")
        report = found.report or {"error": found.text.rstrip()}
        return Page("", report, "/setup", text=found.text)

    def _find(self, request: web.Request) -> MirrorAddress:
        """Return where clients reach the mirror, by the address that the browser has used."""
        asked = request.headers.get("Host", "")
        return find_address(self._listen, has_tls=self._has_tls, asked=asked)

    async def _list_events(self, request: web.Request) -> Page:
        level = request.query.get("level", "")
        report = self._facts.list_events(level, request.query.get("about", "")[:LONGEST])
        return Page("events", report, "/events", {"level": level})


def _read_number(text: str) -> int:
    return int(text[:18]) if text.isdecimal() and text.isascii() else 0
