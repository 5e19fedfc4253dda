"""Laws of who is noted as the sender of each byte of a blob; the endpoints' clock is simulated."""

import asyncio
from contextlib import aclosing

import httpx

from registry.oci.digest import Digest
from registry.upstream.parallel_ranges import read_in_order
from tests.fakes.virtual_endpoints import VirtualEndpoint, VirtualTransport, build_source
from tests.harness.turns import open_turn
from tests.property.virtual_loop import VirtualLoop

MIB = 1024 * 1024
SIZE = 12 * MIB
NAMES = ("a", "b", "c")


async def read() -> tuple[bytes, list[tuple[str, int]]]:
    """Read a blob from endpoints of which each sends its own letter; return who was noted."""
    endpoints = [
        VirtualEndpoint(f"https://{name}.example", name.encode() * SIZE, rate=MIB, delay=0.1)
        for name in NAMES
    ]
    noted: list[tuple[str, int]] = []
    async with httpx.AsyncClient(transport=VirtualTransport(endpoints)) as client:
        download = build_source(endpoints, client).open_blob("library/a", Digest.of(b""), SIZE)
        note = lambda name, count: noted.append((name, count))  # noqa: E731
        got = bytearray()
        async with aclosing(read_in_order(download, 0, open_turn(4), note)) as chunks:
            async for chunk in chunks:
                assert isinstance(chunk, bytes)
                got += chunk
    return bytes(got), noted


def test_the_sender_of_each_byte_is_noted() -> None:
    """Also while a first request and requests for ranges bring bytes at the same time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        got, noted = runner.run(read())

    expected = b"".join(name.removeprefix("https://")[:1].encode() * count for name, count in noted)
    assert {name for name, _ in noted} == {f"https://{name}.example" for name in NAMES}
    assert got == expected
