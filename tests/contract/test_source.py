"""The contract of `registry.upstream.contract.Source`, for a real registry and for the fake."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from registry.errors import (
    BlobUnknown,
    ManifestUnknown,
    NameUnknown,
    ReferrersUnsupported,
    UpstreamError,
)
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.names import Tag
from registry.upstream.contract import BlobDownload, Source, UpstreamList
from tests.fakes.source import MemorySource, Tap
from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.process_parts import open_source

NAME = "library/thing"
LAYER = bytes(range(256)) * 4000
NOWHERE = Digest.of(b"nowhere")


@dataclass
class World:
    """An upstream with one signed image, and switches that work for both kinds of source."""

    source: Source
    hub: FakeUpstream
    image: Image
    tap: Tap

    def forget_ranges(self) -> None:
        self.hub.ranges_supported = self.tap.has_ranges = False

    def forget_referrers(self) -> None:
        self.hub.referrers_supported = False
        if isinstance(self.source, MemorySource):
            self.source.referrers = None

    def go_down(self) -> None:
        self.hub.stop()
        self.tap.is_down = True


def build_memory_source(tap: Tap, image: Image, signature: Image) -> MemorySource:
    """Make the fake in memory, with the content of the fake upstream on sockets."""
    manifest = parse_manifest(image.manifest, image.media_type)
    found: dict[str, Any] = {
        "mediaType": signature.media_type,
        "digest": signature.digest,
        "size": len(signature.manifest),
    }
    return MemorySource(
        tap,
        manifests={(NAME, "latest"): manifest, (NAME, image.digest): manifest},
        blobs={(NAME, image.layers[0]): LAYER},
        tags={NAME: ["latest", "1.0"]},
        referrers={(NAME, image.digest): [found]},
    )


@pytest.fixture(params=["registry", "memory"])
async def world(request: pytest.FixtureRequest, hub: FakeUpstream) -> AsyncIterator[World]:
    hub.add_image(NAME, "1.0", [b"older"])
    image = hub.add_image(NAME, "latest", [LAYER])
    signature = hub.add_image(NAME, None, [b"signature"], subject=image)
    tap = Tap()
    if request.param == "memory":
        yield World(build_memory_source(tap, image, signature), hub, image, tap)
        return
    async with open_source(hub.url) as source:
        yield World(source, hub, image, tap)


async def read(download: BlobDownload, start: int, stop: int | None, **options: bool) -> bytes:
    async with aclosing(download.stream(start, stop, **options)) as chunks:
        return b"".join([chunk async for chunk in chunks])


def open_layer(world: World, size: int | None = len(LAYER)) -> BlobDownload:
    return world.source.open_blob(NAME, Digest.parse(world.image.layers[0]), size)


async def test_tag_leads_to_a_digest(world: World) -> None:
    """A HEAD of a tag returns the digest of the manifest, and so does the question about it."""
    digest = await world.source.head_manifest(NAME, Tag("latest"))
    answer = await world.source.resolve_tag(NAME, Tag("latest"))
    assert world.image.digest == str(digest) == str(answer.digest)
    assert answer.endpoint
    assert not answer.others


@pytest.mark.parametrize("by_digest", [False, True])
async def test_manifest_is_fetched(world: World, by_digest: bool) -> None:
    """A request by tag and one by digest return the same manifest, byte for byte."""
    reference = Digest.parse(world.image.digest) if by_digest else Tag("latest")

    manifest = await world.source.get_manifest(NAME, reference)

    assert world.image.manifest == manifest.raw
    assert world.image.digest == str(manifest.digest)
    assert world.image.media_type == manifest.media_type


@pytest.mark.parametrize("reference", [Tag("nowhere"), NOWHERE])
async def test_missing_manifest_is_unknown(world: World, reference: Tag | Digest) -> None:
    """A manifest that the upstream does not have is unknown, by HEAD and by GET."""
    with pytest.raises(ManifestUnknown):
        await world.source.head_manifest(NAME, reference)
    with pytest.raises(ManifestUnknown):
        await world.source.get_manifest(NAME, reference)
    if isinstance(reference, Tag):
        with pytest.raises(ManifestUnknown):
            await world.source.resolve_tag(NAME, reference)


async def test_blob_has_a_size(world: World) -> None:
    """A HEAD returns the size of a blob."""
    assert len(LAYER) == await world.source.head_blob(NAME, Digest.parse(world.image.layers[0]))


async def test_missing_blob_is_unknown(world: World) -> None:
    """A blob that the upstream does not have is unknown, by HEAD and when it is read."""
    with pytest.raises(BlobUnknown):
        await world.source.head_blob(NAME, NOWHERE)
    download = world.source.open_blob(NAME, NOWHERE, None)
    with pytest.raises(BlobUnknown):
        await read(download, 0, None)


SPANS = [(0, None), (0, 1), (0, len(LAYER)), (1, None), (100_000, 900_000), (len(LAYER) - 1, None)]


@pytest.mark.parametrize(("start", "stop"), SPANS)
async def test_spans_are_read(world: World, start: int, stop: int | None) -> None:
    """Reading any span of a blob yields exactly its bytes."""
    assert LAYER[start:stop] == await read(open_layer(world), start, stop)


@pytest.mark.parametrize(("start", "stop"), SPANS)
async def test_spans_are_read_without_ranges(world: World, start: int, stop: int | None) -> None:
    """The same from an upstream that answers every range with the whole blob."""
    world.forget_ranges()
    assert LAYER[start:stop] == await read(open_layer(world), start, stop)


async def test_first_byte_shows_size_and_endpoint(world: World) -> None:
    """From the first byte on a download knows the size and the endpoint, and not before."""
    download = open_layer(world, None)
    before = (download.size, download.endpoint, download.has_ranges)

    async with aclosing(download.stream(0, None)) as chunks:
        await anext(chunks)

    assert before == (None, "", None)
    assert len(LAYER) == download.size
    assert download.endpoint.startswith(("http://", "https://"))


@pytest.mark.parametrize("has_ranges", [True, False])
async def test_range_shows_whether_there_are_ranges(world: World, has_ranges: bool) -> None:
    """After reading a part of a blob a download knows whether the upstream has ranges."""
    if not has_ranges:
        world.forget_ranges()
    download = open_layer(world)

    await read(download, 10, 20)

    assert has_ranges is download.has_ranges


@pytest.mark.parametrize("has_ranges", [True, False])
async def test_extending(world: World, has_ranges: bool) -> None:
    """With `may_extend` the bytes go on to the end where there are no ranges, and else stop."""
    if not has_ranges:
        world.forget_ranges()
    got = await read(open_layer(world), 0, 1000, may_extend=True)
    assert LAYER[: 1000 if has_ranges else None] == got


async def test_closed_download_can_go_on(world: World) -> None:
    """After a stream was closed early another one reads on from any offset."""
    download = open_layer(world)
    async with aclosing(download.stream(0, None)) as chunks:
        got = await anext(chunks)

    assert got + await read(download, len(got), None) == LAYER


async def test_suspect_is_still_asked(world: World) -> None:
    """A blob can be read from a suspect endpoint too: no other one may have it."""
    download = open_layer(world)
    await read(download, 0, 10)

    download.mark_suspect()

    assert await read(download, 0, None) == LAYER


async def test_tags_are_listed_in_order(world: World) -> None:
    """All tags are returned in ASCII order."""
    assert await world.source.list_tags(NAME) == UpstreamList(["1.0", "latest"])


async def test_missing_repository_is_unknown(world: World) -> None:
    """The tags of a repository that does not exist are unknown, and no empty list."""
    with pytest.raises(NameUnknown):
        await world.source.list_tags("library/nowhere")


async def test_referrers_are_listed(world: World) -> None:
    """The referrers of an image are returned as descriptors; another image has none."""
    found = (await world.source.list_referrers(NAME, Digest.parse(world.image.digest))).entries

    assert len(found) == 1
    assert {"mediaType", "digest", "size"} <= found[0].keys()
    assert await world.source.list_referrers(NAME, NOWHERE) == UpstreamList([])


async def test_missing_referrers_api_is_an_error(world: World) -> None:
    """An upstream without the referrers API raises, and returns no empty list."""
    world.forget_referrers()
    with pytest.raises(ReferrersUnsupported):
        await world.source.list_referrers(NAME, NOWHERE)


async def test_upstream_that_is_down_makes_nothing_unknown(world: World) -> None:
    """When the upstream is down every question raises UpstreamError, and none Unknown."""
    world.go_down()
    digest = Digest.parse(world.image.digest)
    for question in (
        world.source.head_manifest(NAME, Tag("latest")),
        world.source.resolve_tag(NAME, Tag("latest")),
        world.source.get_manifest(NAME, digest),
        world.source.head_blob(NAME, digest),
        world.source.list_tags(NAME),
        world.source.list_referrers(NAME, digest),
        read(open_layer(world), 0, None),
    ):
        with pytest.raises(UpstreamError):
            await question
