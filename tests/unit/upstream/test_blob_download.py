"""Laws of how long a download goes on; the registry is on a real socket, the clock in the test."""

import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from registry.errors import UpstreamUnreachable
from registry.oci.digest import Digest
from registry.settings.upstreams import UpstreamSettings
from registry.upstream.auth import Login, TokenCache
from registry.upstream.blob_download import STALL_BUDGET, BlobDownloader
from registry.upstream.client import open_client
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.registry import RegistrySource
from tests.fakes.upstream import Cut, FakeUpstream, Fault, Status

NAME = "library/thing"
LAYER = bytes(range(256)) * 4000
CUT = 100_000  # bytes: so few that a download waits before it goes on


@dataclass
class Clock:
    """Seconds; each look at the clock moves it by `step`."""

    now: float = 1000.0
    step: float = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def download(hub: FakeUpstream, clock: Clock) -> AsyncIterator[BlobDownloader]:
    """A blob whose first connection breaks after `CUT` bytes."""
    digest = hub.add_image(NAME, "latest", [LAYER]).layers[0]
    hub.faults.add(Fault("cdn", Cut(CUT)))
    async with open_client("docker.io", UpstreamSettings(endpoints=(hub.url,))) as client:
        login = Login(hub.url, None, TokenCache(client, clock))
        endpoint = Endpoint(hub.url, client, login, clock, lambda limit: None)
        pool = EndpointPool("docker.io", [endpoint], clock, random.Random(1))
        source = RegistrySource("docker.io", pool)
        yield source.open_blob(NAME, Digest.parse(digest), len(LAYER))


async def test_time_of_a_slow_reader_does_not_count(download: BlobDownloader, clock: Clock) -> None:
    """However long a reader takes, a connection that breaks after progress is replaced."""
    got = bytearray()
    async with aclosing(download.stream(0, None)) as chunks:
        async for chunk in chunks:
            got += chunk
            clock.now += 2 * STALL_BUDGET

    assert got == LAYER


async def test_download_ends_after_two_minutes_without_progress(
    download: BlobDownloader, clock: Clock, hub: FakeUpstream
) -> None:
    """When no try brings bytes any more, a download fails, after the bytes that came."""
    got = bytearray()

    async def read() -> None:
        async with aclosing(download.stream(0, None)) as chunks:
            async for chunk in chunks:
                got.extend(chunk)
                hub.faults.add(Fault("any", Status(503), times=None))
                clock.step = STALL_BUDGET / 20

    with pytest.raises(UpstreamUnreachable):
        await read()
    assert LAYER[:CUT] == got
