"""Requests that come back to the mirror: refused at once, and told apart from failures."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.raw_server import RawRequest, RawServer, write_answer
from tests.fakes.upstream import FakeUpstream, Fault, Redirect
from tests.harness.free_port import find_free_port
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, fetch_all

pytestmark = pytest.mark.programs


SOON = 5.0  # seconds; it was 40
FEW = 8  # requests to an upstream for one of a client; it was 657


def test_redirect_back_ends(tmp_path: Path) -> None:
    """An upstream that redirects to the mirror with a new name each time is asked a few times."""
    port = find_free_port()

    async def send_back(request: RawRequest) -> AsyncIterator[bytes]:
        name = f"team/n{len(server.requests)}"
        location = f"Location: http://127.0.0.1:{port}/v2/{name}/manifests/1"
        yield write_answer(b"", location, status="307 Temporary Redirect")

    with RawServer(send_back) as server:
        settings = {"server": {"listen": f"127.0.0.1:{port}"}}
        with MirrorProcess(tmp_path / "m", {"docker.io": server.url}, settings) as mirror:
            began = time.monotonic()
            answer = fetch(f"http://127.0.0.1:{port}/v2/team/first/manifests/1")

            assert answer.status in (502, 508), answer
            assert time.monotonic() - began < SOON
            assert len(server.requests) <= FEW
            assert fetch(f"{mirror.console}/readyz").status == 200


def start_pair(make_mirror: MirrorMaker, *others: str) -> list[MirrorProcess]:
    """Start two mirrors, each with the other as the first endpoint."""
    ports = [find_free_port(), find_free_port()]
    made = []
    for own, other in (ports, reversed(ports)):
        table: dict[str, Any] = {"endpoints": [f"http://127.0.0.1:{other}", *others]}
        settings = {"server": {"listen": f"127.0.0.1:{own}"}}
        made.append(make_mirror(settings, upstreams={"docker.io": table}, workers=1))
    return made


def test_two_mirrors_in_a_circle_say_so(make_mirror: MirrorMaker) -> None:
    """Mirrors that have only each other answer at once, with the cure."""
    first, second = start_pair(make_mirror)
    digest = f"sha256:{'0' * 64}"

    for path in ("manifests/1", f"manifests/{digest}", f"blobs/{digest}", "tags/list"):
        for url in (first.url, second.url):
            began = time.monotonic()
            answer = fetch(f"{url}/v2/team/app/{path}")
            assert answer.status == 508, (path, answer)
            assert "correct its endpoints" in answer.message
            assert time.monotonic() - began < SOON


def test_two_mirrors_with_a_registry_serve_images(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """If each has the registry as another endpoint, images come through both."""
    image = hub.add_image("team/app", "1", [b"layer" * 999])
    first, second = start_pair(make_mirror, hub.url)

    for mirror in (first, second):
        base = f"{mirror.url}/v2/team/app"
        began = time.monotonic()
        assert fetch(f"{base}/manifests/1").body == image.manifest
        assert fetch(f"{base}/blobs/{image.layers[0]}").body == b"layer" * 999
        assert time.monotonic() - began < SOON
    assert hub.journal.count("cdn") == 1, hub.journal


@pytest.mark.parametrize("path", ["manifests/{}", "blobs/sha256:{:064}", "tags/list"])
def test_mirrors_that_wait_for_each_other_say_so(make_mirror: MirrorMaker, path: str) -> None:
    """Clients of both ask for the same in the same moment, so each joins the other's question."""
    pair = start_pair(make_mirror)
    urls = [
        f"{mirror.url}/v2/team/app{number}/{path.format(number)}"
        for number in range(4)
        for mirror in pair
    ]

    for answer in fetch_all(urls):
        assert answer.status == 508, answer
        assert answer.seconds < SOON


def test_mirrors_that_wait_for_each_other_serve_images(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """If each has the registry as another endpoint, both download the image from there."""
    image = hub.add_image("team/app", "1", [b"layer" * 999])
    pair = start_pair(make_mirror, hub.url)
    paths = ("manifests/1", f"blobs/{image.layers[0]}", "tags/list")

    for path in paths:
        for answer in fetch_all([f"{mirror.url}/v2/team/app/{path}" for mirror in pair]):
            assert answer.status == 200, answer
            assert answer.seconds < SOON


def test_token_service_is_not_the_mirror(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """A realm that is the mirror itself is not asked for a token."""
    hub.add_image("team/app", "1", [b"layer"])
    mirror = make_mirror(workers=1)
    hub.realm_override = f"{mirror.url}/v2/team/app/manifests/1"

    answer = fetch(f"{mirror.url}/v2/team/app/manifests/1")

    assert answer.status in (404, 502, 508), answer
    assert hub.journal.count("manifest") <= FEW


def test_redirected_blob_does_not_come_back(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """A blob that the registry redirects to the mirror is an error, and nobody waits for it."""
    image = hub.add_image("team/app", "1", [b"layer"])
    mirror = make_mirror(workers=1)
    back = f"{mirror.url}/v2/team/app/blobs/{image.layers[0]}"
    hub.faults.add(Fault("blob", Redirect(back), times=None))

    began = time.monotonic()
    answer = fetch(f"{mirror.url}/v2/team/app/blobs/{image.layers[0]}")

    assert answer.status in (502, 508), answer
    assert time.monotonic() - began < SOON
    assert json.loads(answer.body)["errors"]
