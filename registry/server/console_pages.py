"""The pages of the console in the background process, made when the first person asks for one.

Most servers run for months without: they need no memory for it, and start as fast as before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from aiohttp import web

from registry.api.headers import VERSION
from registry.errors import EntrepotError
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.server.shared import SharedResources

if TYPE_CHECKING:
    from registry.console.site import Site


class ConsolePages:
    """Opens what the pages need, at the first request, and keeps it open."""

    def __init__(
        self,
        shared: SharedResources,
        address: tuple[str, int],
        metrics: Metrics,
        find_trouble: Callable[[], Awaitable[str]],
        find_outage: Callable[[str], float],
    ) -> None:
        """The mirror listens at `address`, a host and a port."""
        self._shared = shared
        self._address = address
        self._metrics = metrics
        self._find_trouble = find_trouble
        self._find_outage = find_outage
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._site: Site | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for a page."""
        try:
            async with self._opening:
                if self._site is None:
                    self._site = await self._open()
        except EntrepotError as error:
            log = get_logger("registry.server.console_pages")
            log.warning("console not opened", why=str(error))
            return web.Response(text="The log says why there are no pages.\n", status=503)
        return await self._site.answer(request)

    async def _open(self) -> "Site":
        """Open the catalog and all else that pages need.

        Raises:
            StoreError: the catalog or the accounts cannot be read.
        """
        from registry.console.accounts import (  # noqa: PLC0415 - only here, as the module says
            AccountPages,
        )
        from registry.console.changes import Changes  # noqa: PLC0415
        from registry.console.pages import Pages  # noqa: PLC0415
        from registry.console.selection import SelectionPages  # noqa: PLC0415
        from registry.console.site import Site  # noqa: PLC0415
        from registry.console.visitors import Visitors  # noqa: PLC0415
        from registry.wiring.access import build_operators  # noqa: PLC0415
        from registry.wiring.console import ServerState, open_console  # noqa: PLC0415

        shared = self._shared
        events = shared.events
        state = ServerState(
            VERSION,
            self._find_trouble,
            self._find_outage,
            events.read if events is not None else list,
        )
        visitors = Visitors(build_operators(shared.settings, shared.folder, self._metrics))
        services = await self._stack.enter_async_context(
            open_console(shared.settings, shared.folder, self._metrics, state)
        )
        has_tls = shared.tls is not None
        registries = tuple(shared.settings.upstreams)
        accounts = None
        if services.accounts is not None:
            has_rules = bool(shared.settings.access.rules)
            accounts = AccountPages(services.accounts, has_rules=has_rules)
        pages = Pages(
            services.facts,
            services.reader,
            self._address,
            registries,
            accounts,
            has_tls=has_tls,
        )
        selection = SelectionPages(services.selection, services.actions)
        changes = Changes(services.actions, selection, accounts)
        return Site(services.facts, pages, changes, visitors, VERSION)

    def end_answers(self) -> None:
        """End the live events: the server waits for all answers, and these have no end."""
        if self._site is not None:
            self._site.close()

    async def close(self) -> None:
        """Close what was opened."""
        await self._stack.aclose()
