"""A client's pull of a large image beside `images warm`, on one link to the upstream."""

import signal
import time
import urllib.request
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.commands import ForkedProcess, start_command
from tests.harness.deadline import await_truth
from tests.harness.large_layer import KIB, MIB
from tests.harness.mirror import MirrorProcess

LINK = 12 * MIB  # bytes a second
LARGE = 36 * MIB
AT_ONCE = 3  # layers that a client downloads at the same time, as Docker does


def time_pull(mirror: MirrorProcess, image: Image) -> float:
    """Pull an image as a client does, and return the seconds that it took."""
    base = f"{mirror.url}/v2/{image.repository}"

    def read(digest: str) -> int:
        with urllib.request.urlopen(f"{base}/blobs/{digest}", timeout=60) as answer:
            return sum(map(len, iter(lambda: answer.read(256 * KIB), b"")))

    began = time.monotonic()
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    request = urllib.request.Request(f"{base}/manifests/{image.digest}", headers=accept)
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sizes = list(pool.map(read, image.layers))
    assert all(sizes)
    return time.monotonic() - began


def count_sent(hub: FakeUpstream, digests: Collection[str] = ()) -> int:
    """Return how many bytes of blobs the upstream has sent, of all or of these."""
    sent = hub.journal.of("cdn")
    return sum(each.body_bytes for each in sent if not digests or each.digest in digests)


@contextmanager
def warming(mirror: MirrorProcess, names: Sequence[str]) -> Iterator[ForkedProcess]:
    """Run `images warm` during the body; then it is interrupted."""
    images = [f"{name}:1" for name in names]
    command = start_command("images", "warm", *images, "--config", str(mirror.config))
    try:
        yield command
    finally:
        command.send_signal(signal.SIGINT)
        command.wait()


def add_small(hub: FakeUpstream, count: int) -> list[str]:
    """Add images of 3 MiB; return their names."""
    names = [f"warmed/{number}" for number in range(count)]
    for number, name in enumerate(names):
        layers = [hub.add_big_blob(MIB, 1000 + 4 * number + each) for each in range(3)]
        hub.add_image(name, "1", layers)
    return names


def add_large(hub: FakeUpstream, name: str, seed: int) -> Image:
    """Add an image of `LARGE` bytes."""
    layers = [hub.add_big_blob(LARGE // 4, seed + each) for each in range(4)]
    return hub.add_image(name, "1", layers)


@dataclass(frozen=True)
class Beside:
    """How long a pull took alone, and beside the warming of 50 images, in seconds.

    `warmed` are the bytes that the warming got during the pull.
    """

    alone: float
    beside: float
    warmed: int


def pull_beside_warming(mirror: MirrorProcess, hub: FakeUpstream) -> Beside:
    """Pull one image alone, and another while the link is full of warming."""
    alone, beside = add_large(hub, "pulled/a", 10), add_large(hub, "pulled/b", 20)
    names = add_small(hub, 50)
    hub.rate = LINK
    lone = time_pull(mirror, alone)
    with warming(mirror, names) as command:
        await_truth(lambda: count_sent(hub) > LARGE + 12 * MIB)  # the link is full
        before = count_sent(hub)
        took = time_pull(mirror, beside)
        meanwhile = count_sent(hub) - before - LARGE
        assert command.poll() is None
    return Beside(lone, took, meanwhile)
