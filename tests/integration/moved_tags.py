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
    make_mirror: MirrorMaker, hub: FakeUpstream, fresh_for: str = "0s", **table: object
) -> MirrorProcess:
    """Start a mirror whose Docker Hub has these settings."""
    upstream = {"endpoints": [hub.url], **table}
    settings = {"tags": {"fresh_for": fresh_for}, "storage": {"keep_pulled": "0s"}}
    return make_mirror(settings, upstreams={"docker.io": upstream})


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
    """Wait until all workers serve an image by the tag; return the seconds that it took."""
    began = time.monotonic()
    wait_until(lambda: count(mirror, image, 8) == 8, "the command counts")
    seconds = time.monotonic() - began
    assert count(mirror, image, 20) == 20
    return seconds


def count(mirror: MirrorProcess, image: Image, times: int) -> int:
    return sum(pull(mirror).body == image.manifest for _ in range(times))


def is_former(answer: Answer, former: Image, newer: Image) -> bool:
    """Whether an answer is the former image, and tells which one is newer."""
    return answer.body == former.manifest and newer.digest in answer.headers["Warning"]
