"""Small questions to an endpoint that accepts connections and says nothing."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from registry.oci.digest import Digest
from registry.oci.names import Tag
from registry.upstream.registry import RegistrySource
from tests.fakes.upstream import Delay, FakeUpstream, Fault, Hang, Image
from tests.harness.process_parts import open_source

NAME = "library/thing"
SOON = 5.0  # seconds; a request to the silent endpoint alone takes 20


@pytest.fixture
def hubs() -> Iterator[list[FakeUpstream]]:
    """Two upstreams with the same content."""
    with ExitStack() as stack:
        yield [stack.enter_context(FakeUpstream()) for _ in range(2)]


def add(hubs: list[FakeUpstream]) -> Image:
    image, _ = (hub.add_image(NAME, "1", [b"a layer"]) for hub in hubs)
    return image


async def ask(source: RegistrySource, image: Image, kind: str) -> None:
    """Ask for the head of a tag, of a manifest, or of a blob."""
    if kind == "blob":
        digest = image.blobs[0]
        assert await source.head_blob(NAME, Digest.parse(digest)) == image.sizes[digest]
        return
    reference = Tag("1") if kind == "tag" else Digest.parse(image.digest)
    assert str(await source.head_manifest(NAME, reference)) == image.digest


@pytest.mark.parametrize("kind", ["tag", "manifest", "blob"])
async def test_a_head_is_asked_of_the_next_endpoint_too(
    hubs: list[FakeUpstream], kind: str
) -> None:
    """After a second; then the silent endpoint is asked last, so that the next HEAD does not wait.

    No HEAD counts against a pull limit, and no GET is sent for it.
    """
    image = add(hubs)
    hubs[0].faults.add(Fault("any", Hang(), times=None))
    async with open_source(*(hub.url for hub in hubs)) as source:
        began = time.monotonic()
        await ask(source, image, kind)
        assert time.monotonic() < began + SOON
        asked = len(hubs[0].journal)
        assert asked > 0

        await ask(source, image, kind)

    assert len(hubs[0].journal) == asked, hubs[0].journal
    assert hubs[1].journal.count("manifest", "GET") == hubs[1].journal.count("blob", "GET") == 0


async def test_a_head_that_is_answered_in_time_is_asked_of_one_endpoint(
    hubs: list[FakeUpstream],
) -> None:
    """An endpoint that has to ask another registry first may take a part of a second."""
    image = add(hubs)
    hubs[0].faults.add(Fault("manifest", Delay(0.6)))
    async with open_source(*(hub.url for hub in hubs)) as source:
        await ask(source, image, "tag")

    assert len(hubs[1].journal) == 0, hubs[1].journal
