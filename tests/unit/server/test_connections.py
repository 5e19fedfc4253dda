"""Laws of the connections of clients: each limit closes what breaks it, and nothing else."""

import asyncio
import errno
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog

from registry.server.listener import UNSENT, USER_TIMEOUT, Listener
from registry.tasks import in_thread
from tests.fakes.certificates import make_authority
from tests.harness.deadline import await_truth
from tests.unit.server.connection_site import (
    LARGE_REQUEST,
    REQUEST,
)

HEAD = b"GET /small HTTP/1.1\r\nHost: a\r\nX-Slow: "


async def test_a_silent_client_is_closed(make_site: Any) -> None:
    """Without a first byte a connection ends after `request_timeout`, and is counted."""
    site = await make_site(request_timeout=0.2)
    client = await site.connect()

    assert await client.is_cut(2)
    assert site.count("cut", "no request") == 1
    assert len(site.connections) == 0


async def test_a_head_that_is_dribbled_is_cut(make_site: Any) -> None:
    """Bytes of a head give no more time; the first head and later ones are alike."""
    site = await make_site(request_timeout=0.4)
    first, later = await site.connect(HEAD), await site.connect()
    assert b" 200 " in await later.ask()
    await later.send(HEAD)
    with structlog.testing.capture_logs() as events:
        with suppress(ConnectionError):  # a slow machine is late, and the first one is cut already
            for _ in range(3):
                await asyncio.sleep(0.1)
                await first.send(b"a")

        assert await first.is_cut(2)
        assert await later.is_cut(2)
        await asyncio.sleep(0.1)
    assert site.count("cut", "slow request") == 2
    assert [each["why"] for each in events if each["event"] == "connection cut"] == (
        ["slow request"] * 2
    )


async def test_a_head_in_pieces_is_answered(make_site: Any) -> None:
    """A head that is whole in time is answered, and its connection stays."""
    site = await make_site(request_timeout=0.3)
    client = await site.connect(HEAD)
    await asyncio.sleep(0.1)

    assert b" 200 " in await client.ask(b"a\r\n\r\n")

    assert not await client.is_cut(0.5)


async def test_a_large_head_is_cut(make_site: Any) -> None:
    """Many headers, each of an allowed size, are not kept without end."""
    site = await make_site(request_timeout=10)
    client = await site.connect(b"GET / HTTP/1.1\r\n")
    for number in range(5):
        await client.send(b"X-%d: " % number + b"a" * 60_000 + b"\r\n")

    assert await client.is_cut(2)
    assert site.count("cut", "large request") == 1


async def test_idle_connections_are_closed(make_site: Any) -> None:
    """After `idle_timeout` without a request; repeated answers count as requests."""
    site = await make_site(idle_timeout=0.4, request_timeout=10)
    idle, busy = await site.connect(), await site.connect()
    for client in (idle, busy):
        assert b" 200 " in await client.ask()
    for _ in range(6):
        await asyncio.sleep(0.1)
        assert b" 200 " in await busy.ask()

    assert await idle.is_cut(0.3)
    assert not await busy.is_cut(0.1)
    assert site.count("cut", "idle") == 1


@pytest.mark.parametrize("is_secure", [False, True])
async def test_who_does_not_read_is_cut(make_site: Any, tmp_path: Path, is_secure: bool) -> None:
    """A client that accepts nothing of its answer for `send_timeout` seconds."""
    tls, context = None, None
    if is_secure:
        authority = make_authority(tmp_path)
        tls, context = authority.files, authority.client_context()
    site = await make_site(send_timeout=0.5, tls=tls)
    if context is None:
        client = await site.connect(LARGE_REQUEST)
        assert await client.is_cut(5)
    else:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=context, limit=1024)
        writer.write(LARGE_REQUEST)
        await asyncio.sleep(2)
        writer.transport.abort()
    assert site.count("cut", "stalled") == 1
    assert len(site.connections) == 0


async def test_who_reads_slowly_is_not_cut(make_site: Any) -> None:
    """A client that reads more than `min_send_rate` stays, and one that reads less is cut."""
    site = await make_site(send_timeout=1, min_send_rate=200_000)
    slow = await site.connect(LARGE_REQUEST)
    enough = await site.connect(LARGE_REQUEST, window=1 << 20)
    for _ in range(40):
        await slow.read(3000)
        await enough.read(200_000)
        await asyncio.sleep(0.03)

    assert site.count("cut", "too slow") == 1
    assert not await enough.is_cut(0.1)


async def test_answers_that_are_never_read_end_the_reading(make_site: Any) -> None:
    """Who pipelines and does not read is not listened to any more, and is cut."""
    site = await make_site(send_timeout=0.5)
    client = await site.connect()
    sent = 0
    with suppress(BlockingIOError, ConnectionError):
        for _ in range(2000):
            sent += client.connection.send(REQUEST * 1000)
            await asyncio.sleep(0.001)

    assert await client.is_cut(5)
    assert sent < 32 << 20
    # A busy machine counts it a moment after the client has seen it.
    await in_thread(await_truth, lambda: site.count("cut", "stalled"), 2.0)
    assert site.count("cut", "stalled") == 1


async def test_an_endless_body_is_cut_after_the_answer(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer comes, and soon after it nothing of the body is read any more."""
    monkeypatch.setattr("registry.api.connection.LINGER", 0.3)
    site = await make_site()
    client = await site.connect(
        b"GET /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    )

    assert b" 200 " in await client.read()
    for _ in range(40):
        try:
            await client.send(b"400\r\n" + bytes(0x400) + b"\r\n")
        except ConnectionError:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the body was read for too long")


async def test_no_free_descriptor_stops_nobody(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client for whom there is no descriptor is closed at once, and the next one is accepted."""

    class Exhausted:
        """A listening socket that has no descriptor for its first client."""

        def __init__(self, inner: socket.socket) -> None:
            self._inner = inner
            self._failures = 1

        def accept(self) -> Any:
            if self._failures:
                self._failures -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self._inner.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    def exhaust(listener: Listener) -> None:
        listener._listening = Exhausted(listener._listening)  # type: ignore[assignment]

    site = await make_site(change=exhaust)
    first = await site.connect(REQUEST)
    assert await first.read() == b""
    assert b" 200 " in await (await site.connect()).ask()
    assert site.count("refused", "descriptors") == 1


async def test_the_kernel_has_limits_too(make_site: Any) -> None:
    """Accepted sockets inherit the bound of unsent bytes, and the time for lost clients."""
    site = await make_site()
    await (await site.connect()).ask()
    (entry,) = site.connections._open
    accepted = entry._protocol.kernel_socket

    unsent = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
    timeout = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert (unsent, timeout) == (UNSENT, USER_TIMEOUT * 1000)
