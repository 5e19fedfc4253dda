"""Laws of the connection: what may be repeated, and when all is left to aiohttp."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from registry.api.access_log import AccessLog, Report
from registry.api.replaying_protocol import Connection
from registry.api.response_cache import Answer, ResponseCache
from registry.metrics import Metrics

ASKED = b"GET /v2/a/manifests/1 HTTP/1.1\r\nHost: mirror\r\nAccept: a/b\r\n\r\n"
REPORT = Report("GET", "/v2/a/manifests/1", "", "test", "manifests", 200, "hit", 4, "")


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.written: list[bytes] = []
        self.is_cut = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.is_cut


class Inner(asyncio.Protocol):
    """What stands for aiohttp: it keeps what it is given."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.given.append(data)


class Place:
    """A connection between the two."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.wire, self.inner, self.read_buffer = Wire(), Inner(), memoryview(bytearray(4096))
        self.is_current = True
        replays = ResponseCache(AccessLog(self.metrics))
        self.connection = Connection(self.inner, replays, self.read_buffer)
        self.connection.connection_made(self.wire)

    def hear(self, data: bytes) -> None:
        buffer = self.connection.get_buffer(-1)
        buffer[: len(data)] = data
        self.connection.buffer_updated(len(data))

    async def settle(self, *, keep_alive: bool = True, failure: Exception | None = None) -> None:
        async def send() -> None:
            if failure is not None:
                raise failure

        response = web.Response(body=b"body", headers={"X-A": "b"})
        response._keep_alive = keep_alive
        sending = asyncio.create_task(send())
        await asyncio.wait([sending])
        self.connection.settle(Answer(response, REPORT, lambda _: self.is_current), sending)

    def is_repeated(self, data: bytes = ASKED) -> bool:
        given, written = len(self.inner.given), len(self.wire.written)
        self.hear(data)
        is_repeated = len(self.wire.written) > written
        assert is_repeated == (len(self.inner.given) == given)
        return is_repeated


@pytest.fixture
async def place() -> Place:
    """A connection whose first request was answered."""
    place = Place()
    place.hear(ASKED)
    await place.settle()
    return place


def test_the_same_bytes_get_the_same_answer(place: Place) -> None:
    """Status, headers and body are those of the first answer; it is dated and counted."""
    assert place.is_repeated()
    head, _, body = place.wire.written[-1].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert b"X-A: b" in lines
    assert lines[-1].startswith(b"Date: ")
    assert body == b"body"
    labels = {"kind": "manifests", "status": "200", "origin": "hit"}
    assert place.metrics.registry.get_sample_value("entrepot_requests_total", labels) == 1
    assert place.metrics.registry.get_sample_value("entrepot_sent_bytes_total") == 4


def test_other_bytes_do_not(place: Place) -> None:
    """Any other byte makes another request."""
    assert not place.is_repeated(ASKED.replace(b"a/b", b"a/c"))


async def test_only_what_is_current_is_repeated(place: Place) -> None:
    """What is no longer so is forgotten, and asked for anew."""
    place.is_current = False
    assert not place.is_repeated()
    place.is_current = True
    await place.settle()
    assert place.is_repeated()


HINDRANCES: dict[str, Callable[[Place], object]] = {
    "the client does not read": lambda place: place.connection.pause_writing(),
    "the connection ends": lambda place: setattr(place.wire, "is_cut", True),
    "a request is not answered yet": lambda place: place.hear(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a request has only begun": lambda place: place.hear(b"GET / HTT"),
    "aiohttp would think it idle": lambda place: setattr(place.connection, "_rests_until", 0),
}


@pytest.mark.parametrize("name", HINDRANCES)
def test_nothing_is_repeated_when(place: Place, name: str) -> None:
    """Out of turn nothing is written, and everything is left to aiohttp."""
    HINDRANCES[name](place)
    assert not place.is_repeated()


def test_a_client_that_reads_again_is_answered(place: Place) -> None:
    """After a pause the connection goes on as before."""
    place.connection.pause_writing()
    place.connection.resume_writing()
    assert place.is_repeated()


async def test_borders_that_are_unknown_stay_unknown() -> None:
    """Requests that came together are never taken for one, however often they come."""
    place = Place()
    for _ in range(3):
        place.hear(ASKED + ASKED)
        await place.settle()
        await place.settle()
        assert place.inner.given[-1] == ASKED + ASKED
    assert not place.is_repeated()


@pytest.mark.parametrize(
    "request_line_and_headers",
    [
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
        b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nCONNECTION: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
    ],
)
async def test_only_plain_heads_are_learnt(request_line_and_headers: bytes) -> None:
    """Whatever could carry a body, close, or be read in two ways, is never learnt."""
    place = Place()
    place.hear(request_line_and_headers)
    await place.settle()
    assert not place.is_repeated(request_line_and_headers)


async def test_a_connection_that_ends_is_not_settled() -> None:
    """After an answer that closes, nothing is repeated."""
    place = Place()
    place.hear(ASKED)
    await place.settle(keep_alive=False)
    assert not place.is_repeated()


async def test_an_answer_that_was_not_sent_is_not_learnt() -> None:
    """What aiohttp refused to send is never sent by us."""
    place = Place()
    place.hear(ASKED)
    await place.settle(failure=ValueError("header injection"))
    assert not place.is_repeated()


async def test_clients_that_say_keep_alive_are_learnt() -> None:
    """Saying the obvious changes nothing."""
    place = Place()
    asked = ASKED.replace(b"Accept: a/b", b"Connection: keep-alive")
    place.hear(asked)
    await place.settle()
    assert place.is_repeated(asked)


def test_slices_of_the_inbox_are_the_inbox() -> None:
    """TLS reads its second record into a slice of what it was given."""
    place = Place()
    place.connection.get_buffer(-1)[100:104] = b"here"
    assert bytes(place.read_buffer[100:104]) == b"here"
