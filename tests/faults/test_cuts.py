"""The upstream breaks off: the transfer goes on, and the clients notice nothing."""

import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import Cut, ExpireUrl, FakeUpstream, Fault, IgnoreRange, NoLength
from tests.fakes.upstream import WrongRange as OtherRange
from tests.harness.deadline import await_truth
from tests.harness.large_layer import KIB, MIB, LargeLayer, publish
from tests.harness.many_clients import ManyClients, Pull
from tests.harness.mirror import MirrorProcess

SOAK = [pytest.mark.soak, pytest.mark.timeout(300)]


def build(make_mirror: MirrorMaker, connections: int, *hubs: FakeUpstream) -> MirrorProcess:
    endpoints = [hub.url for hub in hubs]
    return make_mirror(
        upstreams={"docker.io": {"endpoints": endpoints, "connections": connections}}
    )


def pull(mirror: MirrorProcess, layer: LargeLayer, count: int = 1) -> list[Pull]:
    with ManyClients(layer.pull_manifest(mirror), layer.expected, count) as clients:
        return clients.join()


@pytest.mark.parametrize("connections", [4, 1])
@pytest.mark.parametrize(
    ("size", "every"),
    [
        (24 * MIB, MIB),
        pytest.param(256 * MIB, 20 * MIB, marks=SOAK),
        pytest.param(256 * MIB, 3 * MIB, marks=SOAK),
    ],
)
def test_cuts_cost_next_to_nothing(
    hub: FakeUpstream,
    make_mirror: MirrorMaker,
    tmp_path: Path,
    note: Callable[[str], None],
    size: int,
    every: int,
    connections: int,
) -> None:
    """However often the upstream cuts, all bodies are right and hardly a byte comes twice."""
    hub.rate, hub.cut_every = 40 * MIB, every
    layer = publish(tmp_path, size, hub)
    mirror = build(make_mirror, connections, hub)

    pulls = pull(mirror, layer, 6)

    seconds = max(each.last_byte - each.started for each in pulls)
    note(f"{layer.sent() / size:.4f}x in {layer.fetches()} GETs, {seconds:.2f} s")
    assert all(each.is_right for each in pulls), pulls
    assert layer.sent() <= 1.05 * size, str(hub.journal)


def test_resets_are_resumed(hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path) -> None:
    """A connection that is reset, not closed, is resumed just the same."""
    layer = publish(tmp_path, 6 * MIB, hub)
    hub.faults.add(Fault("cdn", Cut(2 * MIB, reset=True)), Fault("cdn", Cut(MIB, reset=True)))

    (seen,) = pull(build(make_mirror, 1, hub), layer)

    assert seen.is_right, seen
    assert layer.fetches() == 3, str(hub.journal)


def test_expired_urls_are_asked_for_again(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path
) -> None:
    """Signed URLs that expire in the middle of a blob are renewed at the registry."""
    hub.rate = 16 * MIB  # slow enough for several connections
    layer = publish(tmp_path, 24 * MIB, hub)
    expired = hub.faults.add(Fault("cdn", ExpireUrl(), skip=4, times=6))

    (seen,) = pull(build(make_mirror, 4, hub), layer)

    assert seen.is_right, seen
    assert expired.applied == 6
    assert layer.sent() == layer.size, str(hub.journal)


@pytest.mark.parametrize("connections", [4, 1])
def test_expired_tokens_are_renewed(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, connections: int
) -> None:
    """A token that the registry no longer takes is replaced, and the blob goes on."""
    # A token lives long enough to be used, even on a machine that is busy with other tests.
    hub.token_ttl, hub.announce_ttl = 0.3, False
    hub.redirect_blobs = False  # so that every request needs a token
    hub.rate, hub.cut_every = 5 * MIB, 700 * KIB
    layer = publish(tmp_path, 8 * MIB, hub)

    (seen,) = pull(build(make_mirror, connections, hub), layer)

    assert seen.is_right, seen
    assert hub.journal.count("token") > 3, str(hub.journal)
    assert layer.sent() <= 1.05 * layer.size, str(hub.journal)


@pytest.mark.parametrize("connections", [4, 1])
def test_another_endpoint_ends_the_blob(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, connections: int
) -> None:
    """When the first endpoint stops in the middle of a blob, the second sends the rest."""
    with FakeUpstream() as second:
        hub.rate = 8 * MIB
        layer = publish(tmp_path, 12 * MIB, hub, second)
        mirror = build(make_mirror, connections, hub, second)
        with ManyClients(layer.pull_manifest(mirror), layer.expected, 4) as clients:
            await_truth(lambda: layer.sent() > 4 * MIB)
            hub.stop()
            pulls = clients.join()

        assert all(each.is_right for each in pulls), pulls
        assert second.journal.bytes_sent(layer.digest) > MIB, str(second.journal)
        # What was on the wire when the first one died may have been lost with it.
        assert layer.sent() <= layer.size + connections * 2 * MIB


def test_without_ranges_one_request_brings_all(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path
) -> None:
    """An endpoint that ignores ranges is asked once, however many connections are allowed."""
    hub.ranges_supported = False
    layer = publish(tmp_path, 16 * MIB, hub)

    (seen,) = pull(build(make_mirror, 4, hub), layer)

    assert seen.is_right, seen
    assert layer.fetches() == 1, str(hub.journal)
    assert layer.sent() == layer.size


@pytest.mark.parametrize("connections", [4, 1])
def test_a_cut_without_ranges_begins_again(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path, connections: int
) -> None:
    """Where nothing can be resumed the whole comes again, and its beginning is passed over."""
    hub.ranges_supported = False
    layer = publish(tmp_path, 8 * MIB, hub)
    hub.faults.add(Fault("cdn", Cut(5 * MIB)))

    (seen,) = pull(build(make_mirror, connections, hub), layer)

    assert seen.is_right, seen
    assert layer.sent() == layer.size + 5 * MIB, str(hub.journal)


@pytest.mark.parametrize("action", [IgnoreRange(), OtherRange(), OtherRange(-5 * KIB)])
def test_a_wrong_answer_to_a_range_does_no_harm(
    hub: FakeUpstream,
    make_mirror: MirrorMaker,
    tmp_path: Path,
    action: IgnoreRange | OtherRange,
) -> None:
    """The whole, or another range, instead of the rest: the client gets the right bytes."""
    layer = publish(tmp_path, 8 * MIB, hub)
    hub.faults.add(Fault("cdn", Cut(3 * MIB)), Fault("cdn", action))

    (seen,) = pull(build(make_mirror, 1, hub), layer)

    assert seen.is_right, seen


def test_length_is_known_from_the_manifest(
    hub: FakeUpstream, make_mirror: MirrorMaker, tmp_path: Path
) -> None:
    """An upstream that sends no Content-Length, and cuts, changes nothing for the client."""
    layer = publish(tmp_path, 8 * MIB, hub)
    hub.faults.add(Fault("cdn", (NoLength(), Cut(3 * MIB))), Fault("cdn", NoLength()))

    (seen,) = pull(build(make_mirror, 1, hub), layer)

    assert seen.is_right, seen
    assert layer.sent() == layer.size, str(hub.journal)


def test_a_blob_of_unknown_size_arrives_whole(hub: FakeUpstream, mirror: MirrorProcess) -> None:
    """Without a manifest and without Content-Length anywhere the body is chunked, and right."""
    data = bytes(range(251)) * 20_000
    digest = hub.add_blob(data, "library/sizeless")
    hub.faults.add(Fault("any", NoLength(), contains=digest, times=None))
    hub.rate = 8 * MIB
    url = f"{mirror.url}/v2/library/sizeless/blobs/{digest}"
    bodies: list[bytes] = []
    clients = [
        threading.Thread(target=lambda: bodies.append(httpx.get(url, timeout=30).content))
        for _ in range(6)
    ]

    for client in clients:
        client.start()
    for client in clients:
        client.join()

    assert [data == body for body in bodies] == [True] * 6
    assert hub.journal.blob_fetches(digest) == 1, str(hub.journal)
