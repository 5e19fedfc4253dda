"""A tag that moves at the upstream, seen through a mirror by clients and by commands."""

import json
import time
from collections.abc import Mapping
from typing import Any

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import Answer, fetch, wait_until

NAME = "docker.io/team/app:1"
SOON = 2.0  # seconds within which a command has to count: one, on a machine that is not busy


def start(
    make_mirror: MirrorMaker,
    hub: FakeUpstream,
    fresh_for: str = "0s",
    workers: int = 1,
    **table: object,
) -> MirrorProcess:
    """Start a mirror whose Docker Hub has these settings."""
    upstream = {"endpoints": [hub.url], **table}
    settings = {"tags": {"fresh_for": fresh_for}, "storage": {"keep_pulled": "0s"}}
    return make_mirror(settings, upstreams={"docker.io": upstream}, workers=workers)


def add(hub: FakeUpstream, name: str) -> Image:
    """Move the tag of the upstream to another image."""
    return hub.add_image("team/app", "1", [name.encode() * 1000])


def pull(mirror: MirrorProcess, reference: str = "1", method: str = "GET") -> Answer:
    return fetch(f"{mirror.url}/v2/team/app/manifests/{reference}", method=method)


def pull_blobs(mirror: MirrorProcess, image: Image) -> list[int]:
    """Pull the blobs of an image, and wait until they are stored; return the statuses."""
    found = []
    for digest in image.blobs:
        url = f"{mirror.url}/v2/team/app/blobs/{digest}"
        found.append(fetch(url).status)
        if found[-1] == 200:
            wait_until(lambda url=url: fetch(url).origin == "hit", "it is stored")
    return found


def run(mirror: MirrorProcess, *arguments: str) -> Mapping[str, Any]:
    """Run a command that succeeds, and return its JSON."""
    done = mirror.run("images", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def await_image(mirror: MirrorProcess, image: Image) -> float:
    """Wait until a mirror with one worker serves an image; return the seconds that it took."""
    began = time.monotonic()
    wait_until(lambda: pull(mirror).body == image.manifest, "the command counts")
    seconds = time.monotonic() - began
    assert count(mirror, image, 5) == 5
    return seconds


def await_workers(mirror: MirrorProcess, image: Image) -> None:
    """Pull until all workers have to serve an image, and then see that they do."""
    until = time.monotonic() + SOON
    while time.monotonic() < until:
        pull(mirror)
    assert count(mirror, image, 50) == 50


def count(mirror: MirrorProcess, image: Image, times: int) -> int:
    return sum(pull(mirror).body == image.manifest for _ in range(times))


def is_former(answer: Answer, former: Image, newer: Image) -> bool:
    """Whether an answer is the former image, and tells which one is newer."""
    return answer.body == former.manifest and newer.digest in answer.headers["Warning"]
