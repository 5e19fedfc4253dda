"""Laws of how long a download goes on; the registry is on a real socket, the clock in the test."""

import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from registry.errors import UpstreamDenied, UpstreamFaulty, UpstreamUnreachable
from registry.oci.digest import Digest
from registry.settings.upstreams import UpstreamSettings
from registry.upstream import performance
from registry.upstream.auth import Login
from registry.upstream.blob_download import STALL_BUDGET, BlobDownloader
from registry.upstream.client import open_client
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.registry import RegistrySource
from registry.upstream.tokens import TokenCache
from tests.fakes.upstream import Cut, Delay, FakeUpstream, Fault, Gzip, Status

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


@pytest.fixture
async def source(hub: FakeUpstream, clock: Clock) -> AsyncIterator[RegistrySource]:
    async with open_client("docker.io", UpstreamSettings(endpoints=(hub.url,))) as client:
        login = Login(hub.url, None, TokenCache(client, clock))
        endpoint = Endpoint(hub.url, client, login, clock, lambda limit: None)
        pool = EndpointPool("docker.io", [endpoint], clock, random.Random(1))
        yield RegistrySource("docker.io", pool)


async def read(source: RegistrySource, digest: str, start: int, stop: int | None) -> bytes:
    blob = source.open_blob(NAME, Digest.parse(digest), len(LAYER))
    async with aclosing(blob.stream(start, stop)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_compressed_blob_is_refused(hub: FakeUpstream, source: RegistrySource) -> None:
    """A proxy that compresses blobs changes their bytes: the error says so."""
    digest = hub.add_image(NAME, "latest", [LAYER]).layers[0]
    hub.faults.add(Fault("blob", Gzip(), times=None))
    with pytest.raises(UpstreamFaulty, match="compresses"):
        await read(source, digest, 0, None)


@pytest.mark.parametrize("encoding", ["aws-chunked", "", "gzip", "binary", "aws-chunked, gzip"])
async def test_digest_decides_and_no_header(
    hub: FakeUpstream, source: RegistrySource, encoding: str
) -> None:
    """Content hosts name encodings with which they do not change the bytes."""
    digest = hub.add_image(NAME, "latest", [LAYER]).layers[0]
    hub.content_encoding = encoding
    assert await read(source, digest, 0, None) == LAYER


@pytest.mark.parametrize("status", [400, 403, 405, 406, 416, 501])
@pytest.mark.parametrize(("start", "stop"), [(10, None), (10, 20), (500_000, len(LAYER))])
async def test_refused_range_is_asked_for_without(
    hub: FakeUpstream, source: RegistrySource, status: int, start: int, stop: int | None
) -> None:
    """The blob is asked for whole, and the bytes before the range are passed over."""
    digest = hub.add_image(NAME, "latest", [LAYER]).layers[0]
    hub.range_status = status

    assert await read(source, digest, start, stop) == LAYER[start:stop]
    assert await read(source, digest, start, stop) == LAYER[start:stop]
    refused = [entry for entry in hub.journal if entry.status == status]
    assert len(refused) == 1, hub.journal


async def test_a_range_that_is_refused_late_is_asked_for_without(
    hub: FakeUpstream, source: RegistrySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile another endpoint would have been asked, but there is none: this is no failure."""
    monkeypatch.setattr(performance, "LEAST_PATIENCE", 0.01)
    digest = hub.add_image(NAME, "latest", [LAYER]).layers[0]
    hub.range_status = 403
    hub.faults.add(Fault("blob", Delay(0.1), times=None))

    assert await read(source, digest, 10, None) == LAYER[10:]


async def test_refusal_without_a_range_is_what_it_says(
    hub: FakeUpstream, source: RegistrySource
) -> None:
    """A blob that is denied with and without a range is denied; ranges are not to blame."""
    digest = hub.add_image(NAME, "latest", [LAYER]).layers[0]
    await read(source, digest, 0, None)  # logs in
    hub.journal.clear()
    denied = hub.faults.add(Fault("blob", Status(403), times=None))
    with pytest.raises(UpstreamDenied):
        await read(source, digest, 10, 20)
    hub.faults.clear()

    assert denied.applied == 2
    assert await read(source, digest, 10, 20) == LAYER[10:20]
    assert [entry.status for entry in hub.journal.of("cdn")] == [206]


async def test_range_is_asked_for_again_if_it_was_not_the_reason(
    hub: FakeUpstream, source: RegistrySource
) -> None:
    """A content host that refuses for a moment, whatever is asked for, does not lose its ranges."""
    digest = hub.add_image(NAME, "latest", [LAYER]).layers[0]
    hub.faults.add(Fault("cdn", Status(403), times=2))

    assert await read(source, digest, 10, 20) == LAYER[10:20]
    assert await read(source, digest, 10, 20) == LAYER[10:20]
    assert [entry.status for entry in hub.journal.of("cdn")] == [403, 403, 206, 206]
