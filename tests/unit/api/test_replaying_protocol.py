"""Laws of the connection: when it repeats an answer, and when it leaves a request to aiohttp."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from registry.api.access_log import AccessEntry, AccessLog
from registry.api.repeated_answers import ResponseCache, SentAnswer
from registry.api.replaying_protocol import ReplayingProtocol
from registry.metrics.process_metrics import Metrics

REQUEST = b"GET /v2/a/manifests/1 HTTP/1.1\r\nHost: mirror\r\nAccept: a/b\r\n\r\n"
ENTRY = AccessEntry("GET", "/v2/a/manifests/1", "", "test", "manifests", 200, "hit", 4, "")


class Transport(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self, certificate: str = "") -> None:
        subject = ((("commonName", certificate),),)
        shown = {"subject": subject} if certificate else None
        super().__init__({"peername": ("192.0.2.1", 1), "peercert": shown})
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return 0


class Inner(asyncio.Protocol):
    """Takes the place of aiohttp, and keeps the bytes that it gets."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.head_began: float | None = 1.0
        self.is_answering = self.is_ending = False
        self.repeating: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        self.received.append(data)


class Site:
    """A connection between a `Transport` and an `Inner`."""

    def __init__(self, certificate: str = "", cache: ResponseCache | None = None) -> None:
        self.metrics = Metrics()
        self.transport, self.inner, self.read_buffer = (
            Transport(certificate),
            Inner(),
            memoryview(bytearray(4096)),
        )
        self.is_current = True
        self.ended: list[ReplayingProtocol] = []
        self.cache = cache or ResponseCache(AccessLog(self.metrics))
        self.connection = ReplayingProtocol(
            lambda: self.inner,  # type: ignore[arg-type, return-value]
            self.cache,
            self.read_buffer,
            self.ended.append,
        )
        self.connection.connection_made(self.transport)

    def receive(self, data: bytes) -> None:
        buffer = self.connection.get_buffer(-1)
        buffer[: len(data)] = data
        self.connection.buffer_updated(len(data))

    async def send_answer(
        self, *, keep_alive: bool = True, failure: Exception | None = None
    ) -> None:
        async def send() -> None:
            if failure is not None:
                raise failure

        response = web.Response(body=b"body", headers={"X-A": "b"})
        response._keep_alive = keep_alive
        sending = asyncio.create_task(send())
        await asyncio.wait([sending])
        caller = self.connection._client
        answer = SentAnswer(
            response,
            ENTRY,
            AccessLog(self.metrics).prepare(ENTRY),
            lambda _: self.is_current,
            find_caller=lambda who: who if who == caller else None,
        )
        self.connection.finish_answer(answer, sending)

    def is_repeated(self, data: bytes = REQUEST) -> bool:
        received, written = len(self.inner.received), len(self.transport.written)
        self.receive(data)
        is_repeated = len(self.transport.written) > written
        assert is_repeated == (len(self.inner.received) == received)
        return is_repeated


@pytest.fixture
async def site() -> Site:
    """A connection whose first request has been answered."""
    site = Site()
    site.receive(REQUEST)
    await site.send_answer()
    return site


async def test_the_same_bytes_get_the_same_answer(site: Site) -> None:
    """Status, headers and body are those of the first answer; the date is new; it is counted."""
    assert site.is_repeated()
    head, _, body = site.transport.written[-1].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert b"X-A: b" in lines
    assert lines[-1].startswith(b"Date: ")
    assert body == b"body"
    await asyncio.sleep(0)  # it is counted at the end of the turn
    labels = {"kind": "manifests", "status": "200", "origin": "hit"}
    assert site.metrics.registry.get_sample_value("entrepot_requests_total", labels) == 1
    labels = {"kind": "manifests", "origin": "hit"}
    sent = site.metrics.registry.get_sample_value("entrepot_sent_bytes_total", labels)
    assert sent == 4


async def test_other_bytes_are_another_request(site: Site) -> None:
    """A request that differs in one byte goes to aiohttp."""
    assert not site.is_repeated(REQUEST.replace(b"a/b", b"a/c"))


async def test_only_what_is_current_is_repeated(site: Site) -> None:
    """An answer that is not current is removed, and then asked for again."""
    site.is_current = False
    assert not site.is_repeated()
    site.is_current = True
    await site.send_answer()
    assert site.is_repeated()


OBSTACLES: dict[str, Callable[[Site], object]] = {
    "the client does not read": lambda site: site.connection.pause_writing(),
    "the connection ends": lambda site: setattr(site.transport, "is_closed", True),
    "a request is not answered yet": lambda site: site.receive(
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    ),
    "a request has only begun": lambda site: site.receive(b"GET / HTT"),
}


@pytest.mark.parametrize("name", OBSTACLES)
async def test_nothing_is_repeated_while(site: Site, name: str) -> None:
    """In each of these states nothing is written, and aiohttp gets the bytes."""
    OBSTACLES[name](site)
    assert not site.is_repeated()


async def test_a_client_that_reads_again_is_answered(site: Site) -> None:
    """When the client reads again, answers are repeated again."""
    site.connection.pause_writing()
    site.connection.resume_writing()
    assert site.is_repeated()


async def test_requests_that_came_together_are_not_one() -> None:
    """Two requests that came together go to aiohttp, however often they come."""
    site = Site()
    for _ in range(3):
        site.receive(REQUEST + REQUEST)
        await site.send_answer()
        await site.send_answer()
        assert site.inner.received[-1] == REQUEST + REQUEST
    assert not site.is_repeated()


@pytest.mark.parametrize(
    "data",
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
async def test_other_requests_are_not_remembered(data: bytes) -> None:
    """A request is not remembered if it may have a body, closes the connection, or is ambiguous."""
    site = Site()
    site.receive(data)
    await site.send_answer()
    assert not site.is_repeated(data)


async def test_nothing_is_repeated_after_the_last_answer() -> None:
    """After an answer that closes the connection, nothing is repeated."""
    site = Site()
    site.receive(REQUEST)
    await site.send_answer(keep_alive=False)
    assert not site.is_repeated()


async def test_an_answer_that_was_not_sent_is_not_remembered() -> None:
    """An answer that aiohttp refused to send is not repeated."""
    site = Site()
    site.receive(REQUEST)
    await site.send_answer(failure=ValueError("header injection"))
    assert not site.is_repeated()


async def test_keep_alive_changes_nothing() -> None:
    """`Connection: keep-alive` is the default of HTTP/1.1, and the answer is repeated."""
    site = Site()
    asked = REQUEST.replace(b"Accept: a/b", b"Connection: keep-alive")
    site.receive(asked)
    await site.send_answer()
    assert site.is_repeated(asked)


def test_slices_of_the_read_buffer_share_its_bytes() -> None:
    """TLS reads its second record into a slice of the buffer that it was given."""
    site = Site()
    site.connection.get_buffer(-1)[100:104] = b"here"
    assert bytes(site.read_buffer[100:104]) == b"here"


async def test_a_repeated_answer_is_a_use(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins the time without requests anew, and a new connection has had its first request."""
    monkeypatch.setattr("time.monotonic", lambda: 5000.0)
    site.receive(REQUEST)

    assert site.connection.idle_since == 5000
    assert site.connection.head_began is None


def test_the_end_is_told_once(site: Site) -> None:
    """Whoever counts connections learns that this one has ended."""
    site.connection.connection_lost(None)

    assert site.ended == [site.connection]


@pytest.mark.parametrize("other", ["bob", ""])
async def test_an_answer_is_for_its_certificate(other: str) -> None:
    """In one turn of the loop, on connections of one address that send the same bytes."""
    alice = Site("alice")
    alice.receive(REQUEST)
    await alice.send_answer()
    again, stranger = Site("alice", alice.cache), Site(other, alice.cache)

    assert alice.is_repeated()
    assert again.is_repeated()
    assert not stranger.is_repeated()
