"""Laws of measuring candidates, against registries on real sockets."""

import asyncio
import hashlib
import socket

import httpx
import pytest

from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.names import Tag
from registry.settings.fields import Secret
from registry.settings.known_images import AskedImage
from registry.settings.tables import read_table
from registry.settings.upstreams import UpstreamSettings
from registry.upstream import candidate_sample
from registry.upstream.candidate import Candidate, Layer, Step
from registry.upstream.candidate_measurement import CandidateMeasurement
from registry.upstream.candidate_sample import (
    BLOCK,
    _Piece,
    describe_wrong_range,
    has_range,
    split,
    take_sample,
)
from registry.upstream.candidate_steps import describe_ping
from registry.wiring.candidates import build_measurement
from tests.fakes.upstream import (
    ROBOT,
    Cut,
    FakeUpstream,
    Fault,
    Gzip,
    IgnoreRange,
    Lie,
    Stall,
    Status,
    WrongRange,
    put_on,
)

NAME = "library/thing"
IMAGE = AskedImage(f"{NAME}:1", NAME, Tag("1"))
BIG = bytes(range(256)) * 4096  # 1 MiB


async def measure(
    *hubs: FakeUpstream, limit: float = 10.0, **settings: object
) -> CandidateMeasurement:
    """Measure these registries as endpoints of the first one."""
    urls = [hub.endpoint for hub in hubs]
    values = {"endpoints": urls, "aliases": (hubs[0].host,), **settings}
    known = read_table(UpstreamSettings, values)
    test = build_measurement("docker.io", known, urls, [IMAGE], limit)
    await test.run()
    return test


async def measure_one(hub: FakeUpstream, **options: object) -> Candidate:
    (candidate,) = (await measure(hub, **options)).candidates  # type: ignore[arg-type]
    return candidate


@pytest.mark.parametrize(
    "face", ["nexus", "artifactory", "harbor_project", "gitlab", "gar", "quay", "minio_redirect"]
)
async def test_registries_of_the_world_work(hub: FakeUpstream, face: str) -> None:
    """What the mirror can use, the test can use: below paths, without HEAD, in projects."""
    hub.add_image(NAME, "1", [BIG])
    put_on(hub, face)
    candidate = await measure_one(hub)
    assert (candidate.failed, candidate.why) == (None, "")
    assert candidate.performance.rate is not None


async def test_only_the_own_host_gets_the_password(hub: FakeUpstream) -> None:
    """A candidate of somebody else is asked anonymously."""
    image = hub.add_image(NAME, "1", [BIG])
    hub.require_user = ROBOT
    with FakeUpstream() as other:
        other.add_image(NAME, "1", [BIG])
        login = {"username": ROBOT[0], "password": Secret(ROBOT[1])}
        realm = hub.realm.partition("://")[2].partition("/")[0]
        test = await measure(hub, other, auth_realms=(realm,), **login)
        own, others = test.candidates
        asked = [*other.journal]
    assert own.failed is others.failed is None
    assert own.digests == {IMAGE.name: image.digest}
    basic = [each for each in asked if each.headers.get("Authorization", "").startswith("Basic")]
    assert asked
    assert basic == []


async def test_an_image_with_platforms_has_a_layer(hub: FakeUpstream) -> None:
    """The layer is of one of its manifests, which is asked for by its digest."""
    parts = [
        hub.add_image(NAME, None, [BIG, name.encode()], platform=("linux", name))
        for name in ("amd64", "arm64")
    ]
    hub.add_index(NAME, "1", parts)
    test = await measure(hub)
    assert test.layer is not None
    assert test.layer.size == len(BIG)
    asked = [each.path for each in hub.journal.of("manifest") if each.method == "GET"]
    assert len(asked) == 2
    assert all("sha256:" in path for path in asked)


async def test_an_image_without_layers_is_told(hub: FakeUpstream) -> None:
    """There is nothing to download, and the reason says so."""
    hub.add_image(NAME, "1", [])
    hub.faults.add(Fault("manifest", Status(404), method="GET", times=None))
    candidate = await measure_one(hub)
    assert candidate.failed is Step.DOWNLOAD
    assert "there is no layer to download" in candidate.why


async def test_a_connection_that_breaks_is_continued(hub: FakeUpstream) -> None:
    """Two cuts cost no candidate its place, and are counted."""
    hub.add_image(NAME, "1", [BIG])
    hub.faults.add(Fault("blob", Cut(300_000), times=2, skip=1))
    candidate = await measure_one(hub)
    assert candidate.failed is None
    assert candidate.breaks == 2
    assert [sample.is_right for sample in candidate.samples] == [True, True]


async def test_a_part_of_a_large_layer_is_enough(
    hub: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a sample is downloaded; its blocks are compared with those of others."""
    monkeypatch.setattr(candidate_sample, "SAMPLE", 2 * BLOCK)
    hub.add_image(NAME, "1", [BIG])
    with FakeUpstream() as other, FakeUpstream() as liar:
        for each in (other, liar):
            each.add_image(NAME, "1", [BIG])
        liar.faults.add(Fault("blob", Lie(BLOCK + 5), times=None, skip=1))
        test = await measure(hub, other, liar)
    right, also, wrong = test.candidates
    assert right.samples[0].is_right is None
    assert right.samples[0].blocks.keys() == {0, 1}
    assert right.failed is also.failed is None
    assert (wrong.failed, wrong.why) == (
        Step.DOWNLOAD,
        "sends wrong bytes: the others send the same ones",
    )


async def test_a_download_that_takes_too_long_is_measured(hub: FakeUpstream) -> None:
    """What has come until a third of the time is over says how fast it is."""
    hub.add_image(NAME, "1", [BIG])
    hub.connection_rate = 200_000
    candidate = await measure_one(hub, limit=1.5)
    assert candidate.failed is None
    assert candidate.performance.rate == pytest.approx(200_000, rel=0.4)
    total = candidate.performance.total
    assert total is not None
    assert total > 1.5 * 200_000
    assert candidate.samples[0].is_right is None


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (Stall(0), "no byte of the layer within"),
        (Gzip(), "compresses content although asked not to"),
        (Status(404), "does not have a layer of library/thing:1"),
        (Status(403), "refuses access to anonymous clients (403)"),
    ],
)
async def test_a_failing_download_has_its_reason(
    hub: FakeUpstream, action: object, why: str
) -> None:
    """The step is named by `failed`, and the reason is in plain words."""
    hub.add_image(NAME, "1", [BIG])
    hub.redirect_blobs = False
    hub.faults.add(Fault("blob", action, times=None, skip=0 if isinstance(action, Status) else 1))  # type: ignore[arg-type]
    hub.ranges_supported = not isinstance(action, Gzip)
    candidate = await measure_one(hub, limit=3.0)
    assert candidate.failed in (Step.RANGE, Step.DOWNLOAD)
    assert why in candidate.why


async def test_a_refusal_of_many_connections_is_only_noted(hub: FakeUpstream) -> None:
    """One connection still works."""
    hub.add_image(NAME, "1", [BIG * 2])
    hub.redirect_blobs = False
    hub.faults.add(Fault("blob", Status(429), times=None, skip=3))
    candidate = await measure_one(hub)
    assert candidate.failed is None
    assert candidate.performance.total is None
    assert candidate.notes == ["with 8 connections: answers 429: too many requests"]


@pytest.mark.parametrize(
    ("action", "note"),
    [
        (IgnoreRange(), "ignores ranges (200), so that a download cannot go on after a break"),
        (WrongRange(), "sends another range than was asked for"),
    ],
)
async def test_missing_ranges_are_noted(hub: FakeUpstream, action: object, note: str) -> None:
    """The endpoint works, at one connection."""
    hub.add_image(NAME, "1", [BIG])
    hub.faults.add(Fault("blob", action, times=None))  # type: ignore[arg-type]
    candidate = await measure_one(hub)
    assert (candidate.failed, candidate.has_ranges) == (None, False)
    assert candidate.notes == [note]


async def test_the_pull_limit_is_reported(hub: FakeUpstream) -> None:
    """It comes with the answers about manifests."""
    hub.add_image(NAME, "1", [BIG])
    hub.pulls_left = 70
    candidate = await measure_one(hub)
    assert candidate.limit is not None
    assert candidate.limit.allowed == hub.pulls_limit


async def test_a_name_without_address_fails_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words are those of the resolver."""

    async def refuse(*_: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", refuse)
    url = "https://nosuch.invalid"
    test = build_measurement("docker.io", UpstreamSettings(endpoints=(url,)), [url], [IMAGE], 5.0)
    await test.run()
    (candidate,) = test.candidates
    assert candidate.failed is Step.NAME
    assert candidate.why == "the name has no address (Name or service not known)"


@pytest.mark.parametrize(
    ("status", "headers", "note"),
    [
        (200, {"content-type": "application/json"}, ""),
        (401, {"www-authenticate": 'Bearer realm="https://a.example/token"'}, ""),
        (401, {}, "/v2/ asks for a login, and does not say which"),
        (200, {"content-type": "text/html; charset=utf-8"}, "/v2/ answers with a web page"),
        (503, {}, "/v2/ answers 503"),
    ],
)
def test_what_is_unusual_about_v2(status: int, headers: dict[str, str], note: str) -> None:
    """A 401 with a challenge is as it should be."""
    assert describe_ping(status, httpx.Headers(headers)) == note


@pytest.mark.parametrize(
    ("status", "value", "right"),
    [
        (206, "bytes 1-4/10", True),
        (206, "bytes 1-4/*", True),
        (206, "bytes 0-4/10", False),
        (206, "bytes 1-4/11", False),
        (206, "bytes 1-5/10", False),
        (206, "", False),
        (200, "bytes 1-4/10", False),
    ],
)
def test_a_range_is_exact(status: int, value: str, right: bool) -> None:
    """The same bytes, of the same size."""
    response = httpx.Response(status, headers={"content-range": value})
    assert has_range(response, Span(1, 5), 10) == right
    assert ("another range" in describe_wrong_range(response)) == (status == 206)


@pytest.mark.parametrize(
    ("size", "connections", "count"),
    [(1, 8, 1), (BLOCK, 8, 1), (BLOCK + 1, 8, 2), (64 * BLOCK, 8, 8), (9 * BLOCK, 8, 5), (9, 1, 1)],
)
def test_pieces_are_the_whole_sample(size: int, connections: int, count: int) -> None:
    """They begin at blocks, and leave nothing out."""
    pieces = split(size, connections)
    assert len(pieces) == count
    assert [piece.start for piece in pieces] == [0, *(piece.stop for piece in pieces[:-1])]
    assert pieces[-1].stop == size
    assert all(piece.start % BLOCK == 0 for piece in pieces)


def test_blocks_that_came_in_part_are_left_out() -> None:
    """Only whole blocks, and the shorter one at the end, are compared."""
    content = bytearray(b"a" * (2 * BLOCK + 5))
    pieces = [
        _Piece(Span(0, 2 * BLOCK), BLOCK + 1),
        _Piece(Span(2 * BLOCK, 2 * BLOCK + 5), 2 * BLOCK + 5),
    ]
    layer = Layer("a", "a", Digest.of(bytes(content)), len(content))
    sample = take_sample(content, pieces, layer)
    assert sample.blocks == {
        0: hashlib.sha256(content[:BLOCK]).digest(),
        2: hashlib.sha256(b"a" * 5).digest(),
    }
    assert sample.is_right is None
    pieces[0].offset = 2 * BLOCK
    assert take_sample(content, pieces, layer).is_right is True
