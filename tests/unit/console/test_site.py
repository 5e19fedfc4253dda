"""Laws of forms that cannot be used, and of actions that fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiohttp import ClientSession, ClientTimeout, web

from registry.console.changes import Changes
from registry.console.forms import LARGEST_FORM
from registry.console.site import Site
from registry.console.visitors import Visitor, Visitors

FORM = "application/x-www-form-urlencoded"


class FullDisk:
    """Stands in for the actions: the disk refuses."""

    async def pin(self, *_: object) -> None:
        raise OSError(28, "No space left on device", "/data/pins.json")


class SlowDisk:
    """Stands in for the actions: the disk takes its time."""

    def __init__(self) -> None:
        self.has_begun, self.may_end, self.is_done = (asyncio.Event() for _ in range(3))

    async def pin(self, *_: object) -> None:
        self.has_begun.set()
        await self.may_end.wait()
        self.is_done.set()


@asynccontextmanager
async def serve(visitors: Visitors, actions: object = None) -> AsyncIterator[web.AppRunner]:
    """Serve the forms of a console that has no facts, as the server does."""
    pages = SimpleNamespace(find=lambda path: None, navigation=())
    changes = Changes(actions or FullDisk(), None, None)  # type: ignore[arg-type]
    site = Site(None, pages, changes, visitors, "1.0")  # type: ignore[arg-type]
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner
    finally:
        await runner.cleanup()


def find_url(runner: web.AppRunner) -> str:
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


async def send(visitors: Visitors, path: str, body: bytes, kind: str = FORM) -> tuple[int, str]:
    """Send a form, and return status and text of the answer."""
    async with (
        serve(visitors) as runner,
        ClientSession(timeout=ClientTimeout(total=10)) as session,
        session.post(
            f"{find_url(runner)}{path}", data=body, headers={"Content-Type": kind}
        ) as answer,
    ):
        assert "Content-Security-Policy" in answer.headers
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"token=\xff", FORM),
        (b"token=%FF", f"{FORM}; charset=no-such-charset"),
        (b"token=+2AA-", f"{FORM}; charset=utf-7"),
        (b"token=1", "multipart/form-data; boundary=x"),
        pytest.param(b"token=" + b"1" * LARGEST_FORM, FORM, id="too large"),
    ],
)
async def test_what_is_no_form_is_refused(body: bytes, kind: str) -> None:
    """In a sentence, and not by an error of the server."""
    status, text = await send(Visitors(None), "/actions/pin", body, kind)

    assert (status, "this is not a form of the console" in text) == (400, True)


async def test_a_disk_that_refuses_is_said() -> None:
    """An action that was not done says why, as a page."""
    visitors = Visitors(None)
    token = visitors.make_token(Visitor())
    body = f"token={token}&name=docker.io/library/redis:7".encode()

    status, text = await send(visitors, "/actions/pin", body)

    assert status == 500
    assert "No space left on device" in text
    assert "Traceback" not in text


async def test_a_change_is_done_also_if_the_browser_leaves() -> None:
    """Otherwise it would end in the middle, without a word."""
    visitors, actions = Visitors(None), SlowDisk()
    body = f"token={visitors.make_token(Visitor())}&name=docker.io/library/redis:7"
    head = f"POST /actions/pin HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\n"
    async with serve(visitors, actions) as runner, asyncio.timeout(10):
        _, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        await actions.has_begun.wait()
        writer.close()
        assert runner.server is not None
        while runner.server.connections:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
        actions.may_end.set()
        await actions.is_done.wait()


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("//evil.example/", "/evil.example/"),
        ("///evil.example/", "/evil.example/"),
        ("/%5Cevil.example/", "/%5Cevil.example/"),  # browsers read a backslash as a slash
        ("/images/%22%3E", "/images/%22%3E"),
    ],
)
async def test_no_link_leads_to_another_site(path: str, link: str) -> None:
    """The links to other languages repeat the path, and a path may look like a site."""
    async with serve(Visitors(None)) as runner, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(f"GET {path} HTTP/1.0\r\nAccept: text/html\r\n\r\n".encode())
        page = (await reader.read()).decode()
        writer.close()

    assert f'href="{link}?lang=zh"' in page
    assert 'href="//' not in page
