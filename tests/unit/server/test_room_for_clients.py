"""Laws of the room for clients: who makes room, who is refused, and who is told of it."""

import asyncio
import json
from typing import Any

import pytest
import structlog

from registry.server.descriptors import count_descriptors
from tests.unit.server.connection_site import (
    LARGE_REQUEST,
    REQUEST,
)


async def test_the_oldest_idle_connection_makes_room(make_site: Any) -> None:
    """At the limit, a new client is served, and of the idle ones the oldest is closed."""
    site = await make_site(connections=3, connections_per_address=3)
    clients = [await site.connect() for _ in range(3)]
    for client in (clients[1], clients[0], clients[2]):
        assert b" 200 " in await client.ask()
        await asyncio.sleep(0.02)

    assert b" 200 " in await (await site.connect()).ask()

    assert await clients[1].is_cut(1)
    assert [b" 200 " in await client.ask() for client in (clients[0], clients[2])] == [True, True]
    assert site.count("cut", "room for others") == 1


async def test_without_room_a_client_is_told_so(make_site: Any) -> None:
    """If all connections are in use, a new client gets 503 with `Retry-After`, in JSON."""
    site = await make_site(connections=2, connections_per_address=2)
    for _ in range(2):
        await site.connect(LARGE_REQUEST)
    await asyncio.sleep(0.1)

    with structlog.testing.capture_logs() as events:
        client = await site.connect(REQUEST)
        head, _, body = (await client.read()).partition(b"\r\n\r\n")
        assert await client.read() == b""
        await asyncio.sleep(0.2)

    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 5" in head
    assert json.loads(body)["errors"][0]["code"] == "UNAVAILABLE"
    assert site.count("refused", "address") + site.count("refused", "connections") == 1
    assert [each["count"] for each in events if each["event"] == "clients refused"] == [1]


async def test_a_refused_client_leaves_no_descriptor(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a moment to read the answer, also if no other client is refused."""
    monkeypatch.setattr("registry.server.refusals.LINGER", 0.1)
    site = await make_site(connections=1, connections_per_address=1)
    await site.connect(LARGE_REQUEST)
    await asyncio.sleep(0.1)
    refused = await site.connect(REQUEST)
    before = count_descriptors()
    assert b" 503 " in await refused.read()
    await asyncio.sleep(0.4)

    assert count_descriptors() == before - 1


async def test_one_address_does_not_take_all(make_site: Any) -> None:
    """A client of another address is served while one address has all that it may have."""
    site = await make_site(connections=4, connections_per_address=2)
    for _ in range(2):
        await site.connect(LARGE_REQUEST, source="127.0.0.2")
    await asyncio.sleep(0.1)

    refused = await site.connect(REQUEST, source="127.0.0.2")
    assert b" 503 " in await refused.read()
    assert b" 200 " in await (await site.connect()).ask()
    assert site.count("refused", "address") == 1
    await asyncio.sleep(0.2)
    assert site.loads[-1].refused_at == 0


async def test_overload_is_written_for_the_others(make_site: Any) -> None:
    """What is open, the limits, and when a client was refused for want of room."""
    site = await make_site(connections=1, connections_per_address=1)
    await site.connect(LARGE_REQUEST)
    await asyncio.sleep(0.1)
    site.connections.note_refusal("connections")
    await asyncio.sleep(0.2)

    load = site.loads[-1]
    assert (load.connections, load.connection_limit) == (1, 1)
    assert 0 < load.descriptors < load.descriptor_limit
    assert load.refused_at > 0


async def test_who_does_not_read_makes_room(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no connection is idle, a client that accepts nothing is cut for a new one."""
    monkeypatch.setattr("registry.server.open_connection.STALLED", 0.2)
    site = await make_site(connections=1, connections_per_address=1)
    stalled = await site.connect(LARGE_REQUEST)
    await asyncio.sleep(0.6)

    assert b" 200 " in await (await site.connect()).ask()
    assert await stalled.is_cut(1)
