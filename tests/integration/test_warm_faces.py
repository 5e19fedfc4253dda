"""Warming from upstreams as they are: without referrers, with strange tags, with a dead host."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from registry.oci.digest import Digest
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FACES, FakeUpstream, Fault, Image, Status
from tests.fakes.upstream.images import INDEX
from tests.harness.mirror import MirrorProcess
from tests.harness.warming import WarmSite
from tests.integration.faces import NO_API, Row, each_row, row
from tests.integration.images import add_platforms, is_here, is_warm, warm

pytestmark = pytest.mark.programs


AMD64 = "linux/amd64"


@pytest.fixture
def site(tmp_path: Path, hub: FakeUpstream) -> WarmSite:
    """A data folder, and Docker Hub as the fake upstream plays it."""
    return WarmSite(tmp_path / "data", {"endpoints": [hub.url]})


def open_site(folder: Path, hub: FakeUpstream, row: Row) -> WarmSite:
    """A data folder of an upstream that plays a row from now on."""
    row.put_on(hub)
    return WarmSite(folder / "data", row.write_table(hub))


def tag_of(image: Image) -> str:
    return image.digest.replace(":", "-", 1)


@each_row([*NO_API[:2], *NO_API[-3:]])
async def test_upstream_without_referrers_api(tmp_path: Path, hub: FakeUpstream, row: Row) -> None:
    """Warming succeeds, and brings the referrers that the tag lists."""
    site = open_site(tmp_path, hub, row)
    image = hub.add_image("team/app", "1", [b"app"])
    sbom = hub.add_image("team/app", None, [b"sbom"], subject=image)
    hub.add_index("team/app", tag_of(image), [strip_platform(sbom)])

    found = await site.warm("team/app:1")

    assert found.failures == []
    assert is_warm(site, image, sbom)


def strip_platform(image: Image) -> Image:
    """The same image, whose descriptor names no platform, as those of referrers do."""
    return Image(image.repository, None, image.digest, image.manifest, image.media_type)


def add_list(hub: FakeUpstream, subject: Image, *entries: dict[str, Any]) -> None:
    raw = json.dumps({"schemaVersion": 2, "mediaType": INDEX["oci"], "manifests": entries})
    hub.add_manifest(subject.repository, tag_of(subject), raw.encode(), INDEX["oci"])


def lead_to_the_subject(hub: FakeUpstream, index: Image, _: Image) -> None:
    hub.takes_tags_for_digests = True


def lead_to_the_index(hub: FakeUpstream, index: Image, _: Image) -> None:
    hub.tag(index.repository, tag_of(index), index.digest)


def lead_to_a_platform(hub: FakeUpstream, index: Image, other: Image) -> None:
    hub.tag(index.repository, tag_of(index), other.digest)


def lead_to_another_index(hub: FakeUpstream, index: Image, other: Image) -> None:
    add_list(hub, index, other.describe())


def lead_to_a_list_of_others(hub: FakeUpstream, index: Image, other: Image) -> None:
    add_list(hub, index, strip_platform(other).describe())


def lead_cosign_to_the_subject(hub: FakeUpstream, index: Image, _: Image) -> None:
    hub.tag(index.repository, f"{tag_of(index)}.sig", index.digest)


@pytest.mark.parametrize(
    "lead",
    [
        lead_to_the_subject,
        lead_to_the_index,
        lead_to_a_platform,
        lead_to_another_index,
        lead_to_a_list_of_others,
        lead_cosign_to_the_subject,
    ],
)
async def test_what_does_not_name_the_subject_is_no_referrer(
    hub: FakeUpstream, site: WarmSite, lead: Callable[[FakeUpstream, Image, Image], None]
) -> None:
    """A tag made from a digest may lead to an image: other platforms are not fetched nor packed."""
    hub.referrers_supported = False
    index, amd, arm = add_platforms(hub, "team/multi")
    lead(hub, index, arm)

    found = await site.warm("team/multi:1", AMD64)
    plan = await site.plan("team/multi:1", AMD64)

    assert (found.attached, found.failures, plan.failures) == (0, [], {})
    assert is_warm(site, index, amd)
    assert not is_here(site, arm.blobs)
    assert plan.manifests.keys() == {Digest.parse(index.digest), Digest.parse(amd.digest)}


@contextmanager
def black_hole() -> Iterator[str]:
    """The URL of a host that accepts no connection and refuses none: its backlog is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"
        for caller in callers:
            caller.close()


@contextmanager
def refusing() -> Iterator[str]:
    """The URL of a host that refuses connections."""
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{keeper.getsockname()[1]}"


@contextmanager
def out_of_service() -> Iterator[str]:
    """The URL of a host that answers 503 to all requests."""
    with FakeUpstream() as upstream:
        upstream.faults.add(Fault("any", Status(503), times=None))
        yield upstream.url


@contextmanager
def web_page() -> Iterator[str]:
    """The URL of a host that is no registry any more."""
    with FakeUpstream() as upstream:
        page = Status(200, "<html>For sale</html>", {"Content-Type": "text/html"})
        upstream.faults.add(Fault("any", page, times=None))
        yield upstream.url


@pytest.mark.parametrize(
    ("dead", "is_first", "has_referrers_api"),
    [
        *product([black_hole, out_of_service], [True, False], [False]),
        *product([refusing, web_page], [True], [False]),
        (black_hole, False, True),
    ],
)
async def test_dead_host_beside_a_live_one(
    tmp_path: Path, hub: FakeUpstream, dead: Any, *, is_first: bool, has_referrers_api: bool
) -> None:
    """Warming what is here succeeds each time, and soon: the dead host is not waited for."""
    hub.referrers_supported = has_referrers_api
    image = hub.add_image("team/app", "1", [b"app"])
    with dead() as url:
        endpoints = [url, hub.url] if is_first else [hub.url, url]
        site = WarmSite(tmp_path / "data", {"endpoints": endpoints})
        first = await site.warm("team/app:1")
        began = time.monotonic()
        again = await site.warm("team/app:1")
        seconds = time.monotonic() - began

    assert (first.failures, again.failures) == ([], [])
    assert is_warm(site, image)
    assert seconds < 3.0


async def test_signatures_that_nobody_answered_about_are_a_failure(
    hub: FakeUpstream, site: WarmSite
) -> None:
    """If no host answers about signatures, the image does not count as whole."""
    hub.add_image("team/app", "1", [b"app"])
    hub.faults.add(Fault("manifest", Status(503), contains="sha256-", times=None))

    found = await site.warm("team/app:1")

    assert {"503" in each for each in found.failures} == {True}


@each_row([row(face, face) for face in FACES])
async def test_image_is_warmed_from_each_face(tmp_path: Path, hub: FakeUpstream, row: Row) -> None:
    """A signed image of two platforms is warmed from each face, and only what was wanted."""
    site = open_site(tmp_path, hub, row)
    index, amd, arm = add_platforms(hub, "team/multi")
    signature = hub.add_image("team/multi", f"{tag_of(index)}.sig", [b"signature"])

    found = await site.warm("team/multi:1", AMD64)

    assert (found.failures, found.attached) == ([], 1)
    assert is_warm(site, index, amd, signature)
    assert not is_here(site, [arm.digest])


def time_command(mirror: MirrorProcess) -> float:
    began = time.monotonic()
    warm(mirror, "team/app:1")
    return time.monotonic() - began


def test_command_does_not_wait_for_a_dead_host(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """`images warm` with nothing to do takes less than 3 seconds, its own start included."""
    hub.add_image("team/app", "1", [b"app"])
    with black_hole() as url:
        mirror = make_mirror(upstreams={"docker.io": {"endpoints": [url, hub.url]}}, workers=1)
        warm(mirror, "team/app:1")

        # The machine may be busy with other tests.
        assert any(time_command(mirror) < 3.0 for _ in range(3))
