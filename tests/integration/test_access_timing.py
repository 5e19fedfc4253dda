"""What is not allowed takes the same time whether something is there or not, by statistics."""

import http.client
import math
import random
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

pytestmark = pytest.mark.alone

COUNT = 500  # requests of each kind
DIFFERENT = 4.5  # standard deviations; as many come by chance once in 150,000 tries
MISSING = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MirrorProcess]:
    """A mirror in mode `users`: of two images, clients of this machine may pull only one."""
    access = {
        "mode": "users",
        "networks": {"here": ["127.0.0.0/8"], "away": ["192.0.2.0/24"]},
        "rules": [
            {"who": ["@here"], "deny": ["docker.io/team/*"]},
            {"who": ["*"], "allow": ["docker.io/*"]},
        ],
    }
    settings = {"access": access, "server": {"trusted_proxies": ["127.0.0.1/32"]}}
    with FakeUpstream() as hub:
        folder = tmp_path_factory.mktemp("timing")
        for name in ("team/app", "library/app"):
            hub.add_image(name, "1", [name.encode() * 100])
        with MirrorProcess(folder, {"docker.io": hub.url}, settings, workers=1) as running:
            yield running


def measure(mirror: MirrorProcess, paths: tuple[str, str], statuses: set[int]) -> float:
    """Return by how many standard deviations the times of two paths differ (Mann and Whitney).

    They are asked for in a random order, so that whatever else happens meets both.
    """
    order = [0, 1] * COUNT
    random.Random(1).shuffle(order)
    taken: list[tuple[float, int]] = []
    with closing(http.client.HTTPConnection(mirror.host)) as connection:
        for kind in [0, 1] * 20 + order:
            began = time.perf_counter()
            connection.request("GET", paths[kind])
            answer = connection.getresponse()
            answer.read()
            taken.append((time.perf_counter() - began, kind))
            assert answer.status in statuses
    ranked = sorted(taken[40:])
    sum_of_ranks = sum(rank for rank, (_, kind) in enumerate(ranked, 1) if kind)
    mean = COUNT * (2 * COUNT + 1) / 2
    deviation = math.sqrt(COUNT * COUNT * (2 * COUNT + 1) / 12)
    return abs(sum_of_ranks - mean) / deviation


def pull(mirror: MirrorProcess, name: str) -> str:
    """Pull an image as somebody who may; return the digest of its layer."""
    away = {"X-Forwarded-For": "192.0.2.1"}
    url = f"{mirror.url}/v2/{name}"
    manifest = fetch(f"{url}/manifests/1", away)
    assert manifest.status == 200
    digest = str(manifest.json()["layers"][0]["digest"])
    wait_until(lambda: fetch(f"{url}/blobs/{digest}", away).origin == "hit", "it is stored")
    return digest


def test_what_is_not_allowed_takes_as_long_as_what_is_not_there(mirror: MirrorProcess) -> None:
    """Manifests, blobs, tags and referrers, of a repository that is here or not."""
    digest = pull(mirror, "team/app")
    pairs = [
        ("/v2/team/app/manifests/1", "/v2/team/not/manifests/1"),
        (f"/v2/team/app/blobs/{digest}", f"/v2/team/app/blobs/{MISSING}"),
        ("/v2/team/app/tags/list", "/v2/team/not/tags/list"),
        (f"/v2/team/app/referrers/{digest}", f"/v2/team/not/referrers/{digest}"),
    ]

    found = {paths: measure(mirror, paths, {404}) for paths in pairs}

    assert {paths: each for paths, each in found.items() if each > DIFFERENT} == {}


def test_a_difference_would_be_seen(mirror: MirrorProcess) -> None:
    """What is allowed and stored takes another time than what is allowed and not there."""
    digest = pull(mirror, "library/app")
    paths = (f"/v2/library/app/blobs/{digest}", f"/v2/library/app/blobs/{MISSING}")

    assert measure(mirror, paths, {200, 404, 429}) > DIFFERENT
