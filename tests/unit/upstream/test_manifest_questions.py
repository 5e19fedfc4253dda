"""Laws of asking for manifests: which endpoints are asked, and by HEAD or GET."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from registry.errors import ManifestUnknown, UpstreamFaulty, UpstreamUnreachable
from registry.oci.digest import Digest
from registry.oci.names import Tag
from registry.settings.upstreams import Names, UpstreamSettings
from registry.upstream.client import open_client
from registry.upstream.registry import RegistrySource
from registry.wiring.sources import build_endpoints, build_source
from tests.fakes.upstream import DropDigestHeader, FakeUpstream, Fault, Status

NAME, TAG = "library/thing", Tag("1")


@pytest.fixture
def near() -> Iterator[FakeUpstream]:
    """The endpoint that stands first."""
    with FakeUpstream(auth="none") as upstream:
        yield upstream


@pytest.fixture
def hub() -> Iterator[FakeUpstream]:
    """The endpoint that is trusted."""
    with FakeUpstream(auth="none") as upstream:
        yield upstream


@asynccontextmanager
async def open_source(
    near: FakeUpstream, hub: FakeUpstream, names: Names
) -> AsyncIterator[RegistrySource]:
    settings = UpstreamSettings(
        endpoints=(near.url.replace("127.0.0.1", "localhost"), hub.url),
        names=names,
        trusted=(hub.host,),
    )
    async with open_client("docker.io", settings) as client:
        built = build_endpoints("docker.io", settings, client, lambda _: None)
        yield build_source("docker.io", settings, built)


def list_requests(upstream: FakeUpstream) -> list[tuple[str, str]]:
    """Return method and reference of each request for a manifest."""
    found = upstream.journal.of("manifest")
    return [(each.method, each.path.rpartition("/")[2]) for each in found]


async def test_a_tag_is_asked_of_the_trusted_and_bytes_of_the_others(
    near: FakeUpstream, hub: FakeUpstream
) -> None:
    """The trusted endpoint is asked for bytes only if no other one has them."""
    image = hub.add_image(NAME, TAG.name, [b"layer"])
    async with open_source(near, hub, "trusted") as source:
        answer = await source.resolve_tag(NAME, TAG)
        manifest = await source.get_manifest(NAME, answer.digest)

    assert (answer.endpoint, answer.is_trusted) == (hub.url, True)
    assert manifest.raw == image.manifest
    assert list_requests(near) == [("GET", image.digest)]
    assert list_requests(hub) == [("HEAD", "1"), ("GET", image.digest)]


@pytest.mark.parametrize("names", ["trusted", "agree", "first"])
async def test_a_digest_needs_no_trust(near: FakeUpstream, hub: FakeUpstream, names: Names) -> None:
    """Whoever has a manifest may confirm it and send it by its digest."""
    digest = Digest.parse(near.add_image(NAME, None, [b"layer"]).digest)
    hub.stop()
    async with open_source(near, hub, names) as source:
        assert await source.head_manifest(NAME, digest) == digest
        assert (await source.get_manifest(NAME, digest)).digest == digest


@pytest.mark.parametrize("fault", [Status(405), DropDigestHeader()])
@pytest.mark.parametrize("names", ["trusted", "agree", "first"])
async def test_where_a_head_is_of_no_use_a_get_says_it(
    near: FakeUpstream, hub: FakeUpstream, names: Names, fault: Status | DropDigestHeader
) -> None:
    """The manifest that had to be fetched comes with the answer, and is not fetched again."""
    image = hub.add_image(NAME, TAG.name, [b"layer"])
    near.add_image(NAME, TAG.name, [b"layer"])
    for each in (near, hub):
        each.faults.add(Fault("manifest", fault, method="HEAD", times=None))
    async with open_source(near, hub, names) as source:
        answer = await source.resolve_tag(NAME, TAG)

    assert answer.manifest is not None
    assert answer.manifest.raw == image.manifest
    assert ("GET", "1") in list_requests(near) + list_requests(hub)


async def test_a_manifest_that_is_only_there_by_its_tag_is_the_agreed_one(
    near: FakeUpstream, hub: FakeUpstream
) -> None:
    """If two have to agree, no GET by tag may bring another manifest than both have named."""
    image = hub.add_image(NAME, TAG.name, [b"layer"])
    near.add_image(NAME, TAG.name, [b"layer"])
    async with open_source(near, hub, "agree") as source:
        assert (await source.get_manifest(NAME, TAG)).raw == image.manifest
        for each in (near, hub):
            each.add_image(NAME, TAG.name, [b"other"])
            named = {"Docker-Content-Digest": image.digest}
            each.faults.add(Fault("manifest", Status(200, b"", named), method="HEAD", times=None))
        with pytest.raises(UpstreamFaulty):
            await source.get_manifest(NAME, TAG)


async def test_an_accelerator_answers_no_tag_for_the_trusted(
    near: FakeUpstream, hub: FakeUpstream
) -> None:
    """What the registry does not have does not exist; if it is down, the error says what helps."""
    near.add_image(NAME, TAG.name, [b"layer"])
    async with open_source(near, hub, "trusted") as source:
        for question in (source.resolve_tag, source.head_manifest, source.get_manifest):
            with pytest.raises(ManifestUnknown):
                await question(NAME, TAG)
        hub.stop()
        for question in (source.resolve_tag, source.head_manifest, source.get_manifest):
            with pytest.raises(UpstreamUnreachable, match='names = "agree" or "first"'):
                await question(NAME, TAG)
        with pytest.raises(UpstreamUnreachable, match='names = "agree" or "first"'):
            await source.list_tags(NAME)

    assert list_requests(near) == []
