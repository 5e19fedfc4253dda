"""The connections of a worker with TLS: handshakes, and connections that end within an answer."""

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from registry.settings.model import LimitSettings
from tests.fakes.certificates import make_authority
from tests.unit.server.connection_site import (
    LARGE_REQUEST,
    REQUEST,
)


async def test_a_handshake_has_its_time(make_site: Any, tmp_path: Path) -> None:
    """A TLS handshake that stops is closed after `handshake_timeout`; others are not disturbed."""
    authority = make_authority(tmp_path)
    site = await make_site(tls=authority.files, handshake_timeout=0.3)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = authority.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    stopped = await site.connect(outgoing.read())

    reader, writer = await asyncio.open_connection(
        "127.0.0.1", site.port, ssl=authority.client_context()
    )
    writer.write(REQUEST)
    assert b"small" in await reader.readuntil(b"small")
    await stopped.read()
    assert await stopped.is_cut(2)
    writer.write(REQUEST)
    assert b"small" in await reader.read(1000)
    writer.transport.abort()
    assert site.count("cut", "slow handshake") == 1


async def test_handshakes_are_few(
    make_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more than `MAX_HANDSHAKES` the oldest is closed; connections with TLS do not count."""
    monkeypatch.setattr("registry.server.handshakes.MAX_HANDSHAKES", 2)
    monkeypatch.setattr("registry.server.open_connection.SLOW_HANDSHAKE", 0.0)
    authority = make_authority(tmp_path)
    site = await make_site(tls=authority.files)
    context = authority.client_context()
    writers = [
        (await asyncio.open_connection("127.0.0.1", site.port, ssl=context))[1] for _ in range(4)
    ]
    stopped = [await site.connect(b"\x16\x03\x01") for _ in range(3)]
    await asyncio.sleep(0.1)

    assert [await client.is_cut(0.1) for client in stopped] == [True, False, False]
    assert len(site.connections) == 6
    for writer in writers:
        writer.transport.abort()


async def test_handshakes_of_one_address_wait_for_each_other(
    make_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that wait cost no memory and no signature; other addresses do not wait for them."""
    monkeypatch.setattr("registry.server.handshakes.MAX_PER_ADDRESS", 2)
    authority = make_authority(tmp_path)
    site = await make_site(tls=authority.files)
    context = authority.client_context()
    source = ("127.0.0.2", 0)
    stopped = [await site.connect(b"\x16\x03\x01", source=source[0]) for _ in range(5)]
    await asyncio.sleep(0.1)
    assert [entry.is_silent for entry in site.connections._open] == [False] * 2 + [True] * 3

    async with asyncio.timeout(5):
        _, other = await asyncio.open_connection("127.0.0.1", site.port, ssl=context)
        connecting = asyncio.create_task(
            asyncio.open_connection("127.0.0.1", site.port, ssl=context, local_addr=source)
        )
        for client in stopped[:4]:
            assert not connecting.done()
            client.connection.close()
            await asyncio.sleep(0.02)
        _, writer = await connecting

    assert [entry.is_silent for entry in site.connections._open] == [False] * 3
    assert len(site.connections.handshakes._running) == 1
    for each in (writer, other):
        each.transport.abort()


async def test_plain_http_takes_no_handshake(
    make_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that do not speak TLS are answered at once, and few of their connections are kept."""
    monkeypatch.setattr("registry.server.handshakes.MAX_PER_ADDRESS", 1)
    monkeypatch.setattr("registry.server.refusals.MAX_LINGERING", 3)
    site = await make_site(tls=make_authority(tmp_path).files)
    await site.connect(b"\x16\x03\x01")

    for _ in range(6):
        client = await site.connect(REQUEST)
        assert (await client.read()).startswith(b"HTTP/1.1 400 ")

    assert len(site.connections) == 1
    assert len(site.connections.handshakes._running) == 1
    assert not site.connections.handshakes._waiting
    assert len(site.connections._refusals._lingering) <= 3


async def test_a_handshake_that_waits_too_long_is_closed(
    make_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has `request_timeout`, like a client that says nothing, and nothing is kept of it."""
    monkeypatch.setattr("registry.server.handshakes.MAX_PER_ADDRESS", 1)
    authority = make_authority(tmp_path)
    site = await make_site(tls=authority.files, request_timeout=0.2)
    first, second = [await site.connect(b"\x16\x03\x01") for _ in range(2)]

    assert await second.is_cut(2)
    assert site.count("cut", "no request") == 1
    assert not await first.is_cut(0)
    assert site.connections.handshakes._waiting == {}
    first.connection.close()
    await asyncio.sleep(0.05)
    assert not site.connections.handshakes._by_network


async def test_a_client_that_resets_over_tls_ends_nobody_else(
    make_site: Any, tmp_path: Path
) -> None:
    """Between the end of its connection and the next turn of the loop there is no socket."""
    authority = make_authority(tmp_path)
    site = await make_site(tls=authority.files)
    context = authority.client_context()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=context, limit=1024)
    writer.write(LARGE_REQUEST)
    await reader.read(1)
    (entry,) = site.connections._open

    entry._protocol._transport._ssl_protocol.connection_lost(ConnectionResetError())

    assert entry._protocol.kernel_socket is None
    assert not entry.find_fault(time.monotonic(), LimitSettings())
    entry.close()
    writer.transport.abort()
