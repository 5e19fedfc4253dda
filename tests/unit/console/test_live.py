"""Laws of what browsers are sent while they look at a page."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientTimeout, web

from registry.console.live import LiveFeed

PATIENCE = ClientTimeout(total=10)


class Part:
    """A part of a page that the test changes."""

    def __init__(self) -> None:
        self.text = "first"
        self.looks = 0

    async def render(self, language: str) -> dict[str, str]:
        self.looks += 1
        return {"health": f"{self.text} {language}", "space": "the same"}


@asynccontextmanager
async def serve(
    feed: LiveFeed, is_admitted: Callable[[], bool] = lambda: True
) -> AsyncIterator[str]:
    app = web.Application(handler_args={"handler_cancellation": True})

    async def answer(request: web.Request) -> web.StreamResponse:
        return await feed.answer(request, request.query.get("lang", "en"), is_admitted)

    app.router.add_get("/live", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/live"
    finally:
        feed.close()
        await runner.cleanup()


async def read_event(response: object) -> dict[str, str]:
    """Return the next event with data."""
    while True:
        line = await response.content.readline()  # type: ignore[attr-defined]
        if line.startswith(b"data: "):
            found: dict[str, str] = json.loads(line[6:])
            return found


async def test_each_gets_what_has_changed_in_its_language() -> None:
    """The first event has all parts, and the next one only what is another one."""
    part = Part()
    feed = LiveFeed(part.render, interval=0.01)
    async with (
        serve(feed) as url,
        ClientSession(timeout=PATIENCE) as session,
        session.get(url) as one,
        session.get(f"{url}?lang=zh") as two,
    ):
        assert one.headers["Content-Type"] == "text/event-stream"
        assert await read_event(one) == {"health": "first en", "space": "the same"}
        assert await read_event(two) == {"health": "first zh", "space": "the same"}
        part.text = "second"
        assert await read_event(one) == {"health": "second en"}
        assert await read_event(two) == {"health": "second zh"}


async def test_listeners_are_bounded_and_go_away() -> None:
    """One more than there may be is refused; when a browser leaves, there is room again."""
    feed = LiveFeed(Part().render, most=1, interval=0.01)
    async with serve(feed) as url, ClientSession(timeout=PATIENCE) as session:
        async with session.get(url) as first:
            await read_event(first)
            async with session.get(url) as second:
                assert second.status == 503
        await wait_for_none(feed)
        async with session.get(url) as third:
            assert third.status == 200


async def test_nobody_looks_while_nobody_listens() -> None:
    """The producer ends with the last listener."""
    part = Part()
    feed = LiveFeed(part.render, interval=0.01)
    async with serve(feed) as url, ClientSession(timeout=PATIENCE) as session:
        async with session.get(url) as response:
            await read_event(response)
        await wait_for_none(feed)
        await asyncio.sleep(0.03)
        before = part.looks
        await asyncio.sleep(0.1)
        assert before == part.looks


async def test_the_end_of_the_server_ends_the_events() -> None:
    """Otherwise a server that stops would wait for browsers."""
    feed = LiveFeed(Part().render, interval=0.01)
    async with (
        serve(feed) as url,
        ClientSession(timeout=PATIENCE) as session,
        session.get(url) as response,
    ):
        await read_event(response)
        feed.close()
        await response.content.read()
        assert response.content.at_eof()


async def test_who_is_not_admitted_any_more_gets_nothing_more() -> None:
    """Somebody has logged out, or lost the account: the answer ends before the next news."""
    part, admitted = Part(), [True]
    feed = LiveFeed(part.render, interval=0.01)
    async with (
        serve(feed, lambda: admitted[0]) as url,
        ClientSession(timeout=PATIENCE) as session,
        session.get(url) as response,
    ):
        await read_event(response)
        admitted[0] = False
        part.text = "secret"
        rest = await response.content.read()

    assert b"secret" not in rest


async def test_an_error_ends_no_news() -> None:
    """What renders the parts has failed once: it is tried again for those who listen."""
    part, failures = Part(), [RuntimeError("broken")]

    async def render(language: str) -> dict[str, str]:
        if part.looks and failures:
            raise failures.pop()
        return await part.render(language)

    feed = LiveFeed(render, interval=0.01, heartbeat=0.05)
    async with (
        serve(feed) as url,
        ClientSession(timeout=PATIENCE) as session,
        session.get(url) as response,
    ):
        await read_event(response)
        part.text = "second"
        assert await read_event(response) == {"health": "second en"}


async def wait_for_none(feed: LiveFeed) -> None:
    async with asyncio.timeout(10):
        while feed.count:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
