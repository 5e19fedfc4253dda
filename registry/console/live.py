"""What changes on a page while somebody looks at it: server-sent events (HTML, 9.2).

One producer looks once a second while anybody listens. Each listener gets only the parts of the
page that have changed; one that is slow gets the latest ones.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from aiohttp import web

MOST = 200  # listeners
INTERVAL = 1.0  # seconds between two looks
HEARTBEAT = 15.0  # seconds after which a comment is sent, so that proxies keep the connection
RETRY = 3000  # milliseconds after which a browser comes back
Parts = Mapping[str, str]  # HTML by the name of the part of a page


class _Listener:
    """One browser: the parts it has, those that are current, and whether there is news."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.has: dict[str, str] = {}
        self.current: Parts = {}
        self.news = asyncio.Event()

    def show(self, parts: Parts) -> None:
        """Let the browser get these parts, as far as it does not have them."""
        if parts != self.current:
            self.current = parts
            self.news.set()

    def take_changed(self) -> dict[str, str]:
        """Return the parts that this browser does not have yet."""
        self.news.clear()
        changed = {key: text for key, text in self.current.items() if self.has.get(key) != text}
        self.has |= changed
        return changed


class LiveFeed:
    """Sends the changing parts of pages to all who listen."""

    def __init__(
        self,
        render: Callable[[str], Awaitable[Parts]],
        *,
        most: int = MOST,
        interval: float = INTERVAL,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        """`render` returns the current parts in a language."""
        self._render = render
        self._most = most
        self._interval = interval
        self._heartbeat = heartbeat
        self._listeners: set[_Listener] = set()
        self._latest: dict[str, Parts] = {}  # by language, while anybody listens
        self._producing: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def count(self) -> int:
        """The number of listeners."""
        return len(self._listeners)

    async def answer(
        self, request: web.Request, language: str, is_admitted: Callable[[], bool]
    ) -> web.StreamResponse:
        """Send what changes until the browser leaves, or the server stops.

        Nothing more is sent as soon as `is_admitted` says that who listens may not see it any more.
        """
        if self._is_closed or len(self._listeners) >= self._most:
            return web.Response(status=503, headers={"Retry-After": "30"})
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # nginx would keep the events back
            }
        )
        listener = _Listener(language)
        listener.show(self._latest.get(language, {}))
        self._listeners.add(listener)
        try:
            await response.prepare(request)
            await response.write(f"retry: {RETRY}\n\n".encode())
            while not self._is_closed:
                self._begin()  # also after an error has ended the producer
                with suppress(TimeoutError):
                    await asyncio.wait_for(listener.news.wait(), self._heartbeat)
                if not is_admitted():
                    break
                changed = listener.take_changed()
                text = f"data: {json.dumps(changed)}\n\n" if changed else ": \n\n"
                await response.write(text.encode())
        except ConnectionError:
            pass  # the browser has left
        finally:
            self._listeners.discard(listener)
        return response

    def _begin(self) -> None:
        if self._producing is None or self._producing.done():
            self._producing = asyncio.create_task(self._produce())

    async def _produce(self) -> None:
        while self._listeners and not self._is_closed:
            for language in {each.language for each in self._listeners}:
                parts = self._latest[language] = await self._render(language)
                for each in self._listeners:
                    if each.language == language:
                        each.show(parts)
            await asyncio.sleep(self._interval)
        self._latest.clear()

    def close(self) -> None:
        """End all answers; browsers come back to the next process."""
        self._is_closed = True
        if self._producing is not None:
            self._producing.cancel()
        for each in self._listeners:
            each.news.set()
