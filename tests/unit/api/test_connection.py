"""Laws of connections: bytes that are no request are quoted nowhere, at no level of the log."""

import asyncio
import errno
import json
import logging
from asyncio.selector_events import _SelectorSocketTransport
from collections.abc import AsyncIterator

import pytest
import structlog
from aiohttp import web

from registry.api.access_log import AccessLog
from registry.api.connection import MAX_HEADER, ClientServer
from registry.metrics.process_metrics import Metrics
from tests.harness.open_port import open_port

SECRET = b"Zx9Q" * 10


class Site:
    """A server on a free port; `metrics` counts what it refuses."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.port = 0

    async def answer(self, _: web.BaseRequest) -> web.StreamResponse:
        raise ZeroDivisionError("a fault of ours")

    async def ask(self, request: bytes) -> bytes:
        """Send bytes, and return all that comes until the connection is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            return await asyncio.wait_for(reader.read(), 30)
        finally:
            writer.close()


@pytest.fixture(autouse=True)
def _log_of_this_test() -> None:
    """A command that another test ran has set up a log that hides most events."""
    structlog.reset_defaults()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    note = AccessLog(site.metrics).write_refusal
    async with open_port(ClientServer(site.answer, note, keep_alive=75)) as site.port:
        yield site


@pytest.mark.parametrize(
    ("request_bytes", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: " + SECRET + b"\x01\r\n\r\n", "malformed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * MAX_HEADER + SECRET + b"\r\n\r\n", "64 KiB"),
        (b"GET /" + SECRET * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n", "first line"),
        (b"GET / HTTP/1.1\r\n" + SECRET + b": a\r\n\r\n", "malformed"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SECRET + b"\r\n\r\n", "https"),
        (SECRET + b" / HTTP/1.1\r\nHost: a\r\n\r\n", "not a request of HTTP"),
    ],
    ids=["control", "long header", "long line", "no host", "TLS", "method"],
)
async def test_no_level_of_the_log_quotes_a_client(
    site: Site,
    request_bytes: bytes,
    why: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The reason is said in our own words, in the answer and in one event; it is counted once."""
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as events:
        answer = await site.ask(request_bytes)

    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert why in body["errors"][0]["message"]
    assert [each["failure"] for each in events] == [body["errors"][0]["message"]]
    labels = {"kind": "other", "status": "400", "origin": ""}
    assert site.metrics.registry.get_sample_value("entrepot_requests_total", labels) == 1
    said = "".join((answer.decode("latin-1"), str(events), caplog.text, *capfd.readouterr()))
    assert "Zx9" not in said


async def test_a_crash_is_json_and_is_logged(site: Site) -> None:
    """A fault of the mirror is 500 in the specification's JSON; the trace is in the log only."""
    with structlog.testing.capture_logs() as events:
        answer = await site.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["errors"][0]["code"] == "UNKNOWN"
    assert b"fault of ours" not in answer
    (event,) = events
    assert isinstance(event["exc_info"], ZeroDivisionError)


async def test_a_client_that_leaves_after_nonsense_is_no_error(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that are no request, and a reset while they are answered: no error, no trace."""

    def fail(_: object) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr(_SelectorSocketTransport, "write_eof", fail)
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    with structlog.testing.capture_logs() as events:
        writer.write(b"nonsense\r\n\r\n")
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.sleep(0.1)

    assert [each["log_level"] for each in events] == ["info"]
