"""Laws of an endpoint that takes long to send a first byte; the endpoints' clock is simulated."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from typing import Any

import httpx
import pytest
import structlog

from registry.errors import UpstreamUnreachable
from registry.oci.digest import Digest
from registry.upstream.parallel_ranges import read_in_order
from registry.upstream.registry import RegistrySource
from tests.fakes.virtual_endpoints import VirtualEndpoint, VirtualTransport, build_source
from tests.harness.turns import open_turn
from tests.property.virtual_loop import VirtualLoop

MIB = 1024 * 1024
CONTENT = bytes(range(251)) * (3 * MIB // 251)
SIZE = len(CONTENT)
FOREVER = 1000.0  # seconds


def run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner, structlog.testing.capture_logs():
        return runner.run(work)


def build(**options: Any) -> list[VirtualEndpoint]:
    """Return a first endpoint with these options, and a second one that is well."""
    return [
        VirtualEndpoint("https://first.example", CONTENT, **options),
        VirtualEndpoint("https://second.example", CONTENT, rate=8 * MIB, delay=0.1),
    ]


class Site:
    """A source with the real client above simulated endpoints."""

    def __init__(self, endpoints: Sequence[VirtualEndpoint]) -> None:
        self.client = httpx.AsyncClient(transport=VirtualTransport(endpoints))
        self.source: RegistrySource = build_source(endpoints, self.client)

    async def read(self, connections: int = 4) -> float:
        """Read the blob; return after how many seconds its first byte has come."""
        clock = asyncio.get_running_loop().time
        began, first, got = clock(), None, bytearray()
        download = self.source.open_blob("library/a", Digest.of(CONTENT), SIZE)
        async with aclosing(read_in_order(download, 0, open_turn(connections))) as chunks:
            async for chunk in chunks:
                assert isinstance(chunk, bytes)
                first = clock() if first is None else first
                got += chunk
        assert got == CONTENT
        assert first is not None
        return first - began


@pytest.mark.parametrize(
    "fault", [{"delay": FOREVER}, {"is_stalled": True}, {"has_connection": False}]
)
def test_a_dead_endpoint_costs_a_second(fault: dict[str, Any]) -> None:
    """Whatever it does not answer, the next one is asked; each byte is sent once.

    The next blob begins at the endpoint that has answered.
    """

    async def read() -> tuple[float, float, int]:
        endpoints = build(**fault)
        site = Site(endpoints)
        first = await site.read()
        sent = sum(each.total for each in endpoints)
        return first, await site.read(), sent

    first, second, sent = run(read())
    assert first <= 1.3
    assert second <= 0.2
    assert sent == SIZE


def test_nobody_else_is_asked_if_an_endpoint_takes_as_long_as_usual() -> None:
    """Its first byte may take three times what it took before."""

    async def read() -> list[int]:
        endpoints = build(delay=2.5)
        site = Site(endpoints)
        site.source._pool.candidates()[0].measured.note_first_byte(0.9)
        download = site.source.open_blob("library/a", Digest.of(CONTENT), SIZE)
        async with aclosing(download.stream(0, None)) as chunks:
            async for _ in chunks:
                pass
        return [len(each.requests) for each in endpoints]

    assert run(read()) == [1, 0]


def test_the_first_to_answer_is_the_only_one_that_sends() -> None:
    """If the first one answers while the second is asked, the second request is given up."""

    async def read() -> list[int]:
        endpoints = build(delay=1.05)
        endpoints[1].delay = 0.5
        site = Site(endpoints)
        download = site.source.open_blob("library/a", Digest.of(CONTENT), SIZE)
        async with aclosing(download.stream(0, None)) as chunks:
            async for _ in chunks:
                assert download.endpoint == "https://first.example"
        return [each.total for each in endpoints]

    assert run(read()) == [SIZE, 0]


def test_all_dead_endpoints_fail_as_before() -> None:
    """If none sends a byte, the error comes after the limit of the first byte."""

    async def read() -> None:
        endpoints = build(delay=FOREVER)
        endpoints[1].delay = FOREVER
        await Site(endpoints).read()

    with pytest.raises(UpstreamUnreachable):
        run(read())
