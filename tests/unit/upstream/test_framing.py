"""Laws of how much a server may send beside the content of an answer."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from registry.errors import UpstreamError
from registry.settings.upstreams import UpstreamSettings
from registry.upstream.client import open_client, send, translate_errors, write_request
from registry.upstream.framing import MAX_INTERIM, Framing, FramingExcess
from tests.fakes.raw_server import RawRequest, RawServer, write_answer

INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = write_answer(b"content")
PATIENCE = 5.0  # seconds, of which most cases need some milliseconds


async def repeat(first: bytes, again: bytes, times: int | None = None) -> AsyncIterator[bytes]:
    yield first
    count = 0
    while times is None or count < times:
        count += 1
        yield again
        await asyncio.sleep(0)


async def get(answer: Callable[[RawRequest], AsyncIterator[bytes]], *, is_bulk: bool) -> bytes:
    """Return the body that a client of ours reads."""
    with RawServer(answer) as server:
        settings = UpstreamSettings(endpoints=(server.url,))
        async with open_client("docker.io", settings) as client, asyncio.timeout(PATIENCE):
            request = write_request(client, "GET", f"{server.url}/x", {}, is_bulk=is_bulk)
            response = await send(client, request, server.url)
            try:
                with translate_errors(server.url):
                    return b"".join([piece async for piece in response.aiter_raw()])
            finally:
                await response.aclose()


@pytest.mark.parametrize("is_bulk", [False, True])
@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", INTERIM),
        (b"", INTERIM * 1000),
        (b"HTTP/1.1 100 ", b"a" * 100_000),
        (b"HTTP/1.1 200 OK\r\n", b"X: a\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\nX: ", b"a" * 100_000),
        (CHUNKED + b"5;a=", b"b" * 100_000),
        (CHUNKED, b"1;a=" + b"b" * 4000 + b"\r\nx\r\n"),
        (CHUNKED + b"0\r\n", b"X: a\r\n" * 1000),
    ],
    ids=[
        *("interim", "many interim", "long interim", "headers", "long header"),
        *("extension", "extensions", "trailers"),
    ],
)
async def test_endless_framing_ends(first: bytes, again: bytes, *, is_bulk: bool) -> None:
    """What never becomes content is given up after some bytes, and not after some minutes."""
    with pytest.raises(UpstreamError):
        await get(lambda _: repeat(first, again), is_bulk=is_bulk)


@pytest.mark.parametrize("is_bulk", [False, True])
@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (INTERIM * 3 + OK, b"content"),
        (CHUNKED + b"1\r\nx\r\n" * 9000 + b"0\r\n\r\n", b"x" * 9000),
        (CHUNKED + b"5;a=b\r\nhello\r\n0\r\nX: a\r\n\r\n", b"hello"),
        (write_answer(INTERIM * 99), INTERIM * 99),
    ],
    ids=["interim", "small chunks", "extension and trailer", "content like a head"],
)
async def test_usual_framing_is_read(answer: bytes, body: bytes, *, is_bulk: bool) -> None:
    """Some interim answers, and chunks of one byte, are what HTTP allows."""
    assert await get(lambda _: repeat(answer, b"", 1), is_bulk=is_bulk) == body


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_interim_answers_are_counted_in_any_pieces(size: int) -> None:
    """How the bytes are cut into pieces does not matter."""
    framing = Framing()
    data = INTERIM * MAX_INTERIM
    for at in range(0, len(data), size):
        framing.receive(data[at : at + size])
    framing.receive(INTERIM[:-1])
    with pytest.raises(FramingExcess):
        framing.receive(INTERIM[-1:])
