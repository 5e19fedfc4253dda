"""What breaks at an upstream hurts no more than what it is about: a registry as a `Source`."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import aclosing, closing

import pytest

from registry.errors import (
    BlobUnknown,
    ManifestUnknown,
    UpstreamFaulty,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.oci.digest import Digest
from registry.oci.names import Tag
from registry.upstream.circuit_breaker import FAILURES
from registry.upstream.contract import BlobDownload, Fallback
from registry.upstream.parallel_ranges import SMALLEST, read_in_order
from tests.fakes.upstream import (
    Cut,
    Delay,
    Endless,
    FakeUpstream,
    Fault,
    Hang,
    IgnoreRange,
    Lie,
    Status,
)
from tests.harness.process_parts import open_source
from tests.harness.received import take_all
from tests.harness.turns import open_turn

NAME = "library/thing"
LAYER = bytes(range(256)) * 4000


@pytest.fixture
def other() -> Iterator[FakeUpstream]:
    """A second registry with what the test puts there."""
    with FakeUpstream() as upstream:
        yield upstream


async def read(transfer: BlobDownload) -> bytes:
    async with aclosing(transfer.stream(0, None)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_one_broken_image_is_no_broken_registry(hub: FakeUpstream) -> None:
    """However often one image is answered 500, other images are asked for and come."""
    good = hub.add_image(NAME, "good", [b"good"])
    hub.add_image(NAME, "bad", [b"bad"])
    hub.faults.add(Fault("manifest", Status(500), contains="/bad", times=None))
    async with open_source(hub.url) as source:
        for _ in range(2):
            with pytest.raises(UpstreamUnreachable):
                await source.get_manifest(NAME, Tag("bad"))

        assert good.manifest == (await source.get_manifest(NAME, Tag("good"))).raw


@pytest.mark.parametrize(
    ("fallback", "further"), [(Fallback.KNOWN, 0), (Fallback.EMPTY, 1), (Fallback.NONE, 1)]
)
async def test_a_broken_image_is_hardly_requested_again(
    hub: FakeUpstream, *, fallback: Fallback, further: int
) -> None:
    """After three 500s about one image, a question is one request; none if an answer is known."""
    hub.add_image(NAME, "bad", [b"bad"])
    hub.faults.add(Fault("manifest", Status(500), contains="/bad", times=None))
    async with open_source(hub.url) as source:
        with pytest.raises(UpstreamUnreachable):
            await source.get_manifest(NAME, Tag("bad"))
        assert hub.journal.count("manifest") == FAILURES
        for _ in range(4):
            with pytest.raises(UpstreamUnreachable):
                await source.get_manifest(NAME, Tag("bad"), fallback=fallback)

    assert hub.journal.count("manifest") == FAILURES + 4 * further


async def test_a_cancelled_trial_keeps_nobody_away(hub: FakeUpstream) -> None:
    """A trial whose asker leaves brings no verdict: the next one tries at once."""
    image = hub.add_image(NAME, "1", [b"1"])
    async with open_source(hub.url) as source:
        hub.faults.add(Fault("any", Status(503), times=3))
        with pytest.raises(UpstreamUnreachable):
            await source.head_manifest(NAME, Tag("1"))
        hub.faults.add(Fault("any", Hang(), times=None))
        hub.journal.clear()
        while not len(hub.journal):
            trial = asyncio.create_task(source.head_manifest(NAME, Tag("1")))
            await asyncio.wait([trial], timeout=0.5)
            trial.cancel()
            await asyncio.gather(trial, return_exceptions=True)
        hub.faults.clear()

        assert image.digest == str(await source.head_manifest(NAME, Tag("1")))


async def test_those_who_meet_a_trial_wait_for_it(hub: FakeUpstream) -> None:
    """While one tries whether the upstream is well again, the others soon ask again."""
    image = hub.add_image(NAME, "1", [b"1"])
    async with open_source(hub.url) as source:
        hub.faults.add(Fault("any", Status(503), times=3))
        with pytest.raises(UpstreamUnreachable):
            await source.head_manifest(NAME, Tag("1"))
        await asyncio.sleep(2.1)  # the rest, which is time itself

        hub.faults.add(Fault("manifest", Delay(0.05)))
        found = await asyncio.gather(*(source.head_manifest(NAME, Tag("1")) for _ in range(4)))

        assert [str(digest) for digest in found] == [image.digest] * 4


async def test_a_content_host_throttles_nobody_else(hub: FakeUpstream) -> None:
    """What a host says that was redirected to is no word of the registry."""
    image = hub.add_image(NAME, "1", [LAYER])
    hub.faults.add(Fault("cdn", Status(429, headers={"Retry-After": "7200"}), times=None))
    async with open_source(hub.url) as source:
        with pytest.raises(UpstreamUnreachable):
            await read(source.open_blob(NAME, Digest.parse(image.layers[0]), len(LAYER)))

        assert image.digest == str(await source.head_manifest(NAME, Tag("1")))


async def test_a_counted_429_leaves_heads_alone(hub: FakeUpstream) -> None:
    """A GET's 429 rests what counts, for as long as it says; HEADs go on."""
    image = hub.add_image(NAME, "1", [LAYER])
    limit = Status(429, headers={"Retry-After": "3600"})
    hub.faults.add(Fault("manifest", limit, method="GET", times=None))
    async with open_source(hub.url) as source:
        for _ in range(2):
            with pytest.raises(UpstreamThrottled):
                await source.get_manifest(NAME, Tag("1"))

        assert image.digest == str(await source.head_manifest(NAME, Tag("1")))
    assert hub.journal.count("manifest", "GET") == 1


async def test_a_liar_that_cuts_is_not_always_first(hub: FakeUpstream, other: FakeUpstream) -> None:
    """When who lied and who completed are both accused, the one who completed goes first."""
    digest = Digest.parse(hub.add_image(NAME, "1", [LAYER]).layers[0])
    other.add_image(NAME, "1", [LAYER])
    hub.faults.add(Fault("blob", (Lie(), Cut(100_000)), times=None))
    async with open_source(hub.url, other.url) as source:
        first = source.open_blob(NAME, digest, len(LAYER))
        assert await read(first) != LAYER
        suspects = first.mark_suspect()
        second = source.open_blob(NAME, digest, len(LAYER))
        second.mark_suspect(*suspects)

        assert await read(second) == LAYER


async def test_a_lonely_liar_is_not_first_again(hub: FakeUpstream, other: FakeUpstream) -> None:
    """Of two suspects the one accused last goes last."""
    digest = Digest.parse(hub.add_image(NAME, "1", [LAYER]).layers[0])
    other.add_image(NAME, "1", [LAYER])
    hub.faults.add(Fault("blob", Cut(100_000)))
    other.faults.add(Fault("blob", Lie(200_000), times=None))
    async with open_source(hub.url, other.url) as source:
        suspects: tuple[str, ...] = ()
        for _ in range(2):
            transfer = source.open_blob(NAME, digest, len(LAYER))
            transfer.mark_suspect(*suspects)
            assert await read(transfer) != LAYER
            suspects = (*suspects, *transfer.mark_suspect())
        transfer = source.open_blob(NAME, digest, len(LAYER))
        transfer.mark_suspect(*suspects)

        assert await read(transfer) == LAYER


async def test_heads_share_a_connection(hub: FakeUpstream) -> None:
    """Answers whose body is not read leave their connection open: HEADs, 404s."""
    hub.add_image(NAME, "1", [LAYER])
    async with open_source(hub.url) as source:
        for _ in range(5):
            await source.head_manifest(NAME, Tag("1"))
            with pytest.raises(ManifestUnknown):
                await source.get_manifest(NAME, Tag("nowhere"))

    assert len({entry.port for entry in hub.journal.of("manifest")}) == 1, hub.journal


async def test_redirects_share_a_connection(hub: FakeUpstream) -> None:
    """A redirect that is followed leaves its connection open."""
    digest = Digest.parse(hub.add_image(NAME, "1", [LAYER]).layers[0])
    async with open_source(hub.url) as source:
        for _ in range(5):
            assert await read(source.open_blob(NAME, digest, len(LAYER))) == LAYER

    assert len({entry.port for entry in hub.journal.of("blob")}) == 1, hub.journal


async def test_a_body_that_is_too_long_is_asked_for_once(hub: FakeUpstream) -> None:
    """Who sends more than there is is not asked again, and nothing asks for an empty range."""
    digest = Digest.parse(hub.add_image(NAME, "1", [LAYER]).layers[0])
    hub.faults.add(Fault("blob", Endless(), times=None))
    async with open_source(hub.url) as source:
        with pytest.raises(UpstreamFaulty):
            await read(source.open_blob(NAME, digest, len(LAYER)))

    assert hub.journal.blob_fetches(str(digest)) == 1, hub.journal


async def test_lost_ranges_cost_little(hub: FakeUpstream) -> None:
    """Ranges that go away on the way cost the bytes before once more, not once per range."""
    layer = bytes(24 * SMALLEST)
    digest = Digest.parse(hub.add_image(NAME, "1", [layer]).layers[0])
    hub.faults.add(Fault("blob", IgnoreRange(), skip=2, times=None))
    async with open_source(hub.url) as source:
        transfer = source.open_blob(NAME, digest, len(layer))
        async with aclosing(read_in_order(transfer, 0, open_turn(4))) as chunks:
            got = await take_all(chunks)

    assert got == layer
    assert hub.journal.bytes_sent(str(digest)) < 4 * len(layer), hub.journal


async def test_a_lost_redirect_is_no_absence(hub: FakeUpstream) -> None:
    """Only the registry itself can say that it has no such blob."""
    digest = Digest.parse(hub.add_image(NAME, "1", [LAYER]).layers[0])
    hub.faults.add(Fault("cdn", Status(404), times=2))
    async with open_source(hub.url) as source:
        assert await source.head_blob(NAME, digest) == len(LAYER)
        with pytest.raises(BlobUnknown):
            await source.head_blob(NAME, Digest.of(b"nowhere"))


async def test_a_short_retry_after_is_waited_for(hub: FakeUpstream) -> None:
    """A 503 that asks for a second gets it, and is asked again."""
    image = hub.add_image(NAME, "1", [LAYER])
    hub.faults.add(Fault("manifest", Status(503, headers={"Retry-After": "1"})))
    async with open_source(hub.url) as source:
        assert image.digest == str(await source.head_manifest(NAME, Tag("1")))


async def test_a_registry_without_head_is_asked_by_get(hub: FakeUpstream) -> None:
    """A GET decides the first time; later no HEAD is sent, and the caller sends the GET."""
    image = hub.add_image(NAME, "1", [LAYER])
    refused = hub.faults.add(Fault("manifest", Status(405), method="HEAD", times=None))
    async with open_source(hub.url) as source:
        assert image.digest == str(await source.head_manifest(NAME, Tag("1")))
        assert await source.head_manifest(NAME, Tag("1")) is None
        assert refused.applied == 1
        digest = Digest.parse(image.digest)
        assert digest == await source.head_manifest(NAME, digest)
        with pytest.raises(ManifestUnknown):
            await source.head_manifest(NAME, Digest.of(b"nowhere"))


async def test_a_black_hole_costs_seconds(hub: FakeUpstream) -> None:
    """An endpoint that swallows connections is given up soon where there is another."""
    image = hub.add_image(NAME, "1", [LAYER])
    with closing(socket.socket()) as hole, closing(socket.socket()) as filler:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        filler.connect(hole.getsockname())  # the backlog is full: nothing answers from now on
        async with open_source(f"http://127.0.0.1:{hole.getsockname()[1]}", hub.url) as source:
            async with asyncio.timeout(8):
                found = await source.head_manifest(NAME, Tag("1"))

    assert image.digest == str(found)
