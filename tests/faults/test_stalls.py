"""A connection that stays open and says nothing: the transfer goes on elsewhere, or again."""

import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from registry.oci.digest import Digest
from registry.settings.upstreams import UpstreamSettings
from registry.upstream import client as upstream_client
from registry.upstream.auth import Login
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.parallel_ranges import read_in_order
from registry.upstream.registry import RegistrySource
from registry.upstream.tokens import TokenCache
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Stall
from tests.harness.large_layer import MIB, LargeLayer, publish
from tests.harness.many_clients import ManyClients
from tests.harness.received import take_all
from tests.harness.turns import open_turn

STALL = 0.5  # seconds; a real mirror waits 20
SIZE = 8 * MIB


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """The client of an upstream, less patient than ours."""
    monkeypatch.setattr(upstream_client, "STALL", STALL)  # a request says it again
    settings = UpstreamSettings(endpoints=("http://127.0.0.1",))
    async with upstream_client.open_client("docker.io", settings) as made:
        yield made


def build_endpoints(client: httpx.AsyncClient, *hubs: FakeUpstream) -> list[Endpoint]:
    tokens = TokenCache(client, time.monotonic)
    return [
        Endpoint(hub.url, client, Login(hub.url, None, tokens), time.monotonic, lambda _: None)
        for hub in hubs
    ]


async def read(layer: LargeLayer, endpoints: list[Endpoint], connections: int) -> bytes:
    pool = EndpointPool("docker.io", endpoints, time.monotonic, random.Random(1))
    source = RegistrySource("docker.io", pool)
    transfer = source.open_blob(layer.repository, Digest.parse(layer.digest), layer.size)
    return await take_all(read_in_order(transfer, 0, open_turn(connections)))


@pytest.mark.parametrize("connections", [4, 1])
async def test_a_stall_is_asked_again(
    hub: FakeUpstream, tmp_path: Path, client: httpx.AsyncClient, connections: int
) -> None:
    """After a silence the rest is asked for on another connection, and no byte comes twice."""
    layer = publish(tmp_path, SIZE, hub)
    hub.faults.add(Fault("cdn", Stall(MIB // 2)), Fault("cdn", Stall(MIB // 4), skip=1))
    (endpoint,) = endpoints = build_endpoints(client, hub)

    body = await read(layer, endpoints, connections)

    assert body == layer.expected.read_bytes()
    assert layer.sent() == SIZE, str(hub.journal)
    assert not endpoint.health.is_suspended(time.monotonic(), counts=False)


@pytest.mark.parametrize("connections", [4, 1])
async def test_a_stalled_endpoint_is_left(
    hub: FakeUpstream, tmp_path: Path, client: httpx.AsyncClient, connections: int
) -> None:
    """An endpoint that always falls silent costs one silence a connection, not one a segment."""
    with FakeUpstream() as second:
        layer = publish(tmp_path, SIZE, hub, second)
        stall = hub.faults.add(Fault("cdn", Stall(MIB // 4), times=None))

        body = await read(layer, build_endpoints(client, hub, second), connections)

        assert body == layer.expected.read_bytes()
        assert 1 <= stall.applied <= connections
        assert layer.sent() == SIZE


@pytest.mark.soak
@pytest.mark.timeout(200)
def test_the_real_stall_limit(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, note: Callable[[str], None]
) -> None:
    """A real mirror gives a silent connection 20 seconds, then its clients get the rest."""
    layer = publish(tmp_path, SIZE, hub)
    hub.faults.add(Fault("cdn", Stall(MIB)))
    mirror = make_mirror(upstreams={"docker.io": {"endpoints": [hub.url], "connections": 1}})

    with ManyClients(layer.pull_manifest(mirror), layer.expected, 4) as clients:
        pulls = clients.join()

    seconds = max(pull.last_byte - pull.started for pull in pulls)
    note(f"{layer.sent() / SIZE:.4f}x, {seconds:.1f} s")
    assert [pull.is_right for pull in pulls] == [True] * 4, pulls
    assert layer.sent() == SIZE
    assert 20 <= seconds < 25
