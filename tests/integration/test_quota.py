"""`storage.limit` under load: a Zipf choice of many images, and less space than they need."""

import hashlib
import os
import random
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Image, Status
from tests.harness.large_layer import MIB
from tests.harness.mirror import MirrorProcess
from tests.harness.sizes import list_sizes
from tests.integration.wire import fetch, wait_until

CLIENTS = 4

IMAGES = 50
TIMES = 5  # as much as fits
SIDE_FILES = {".json", ".new"}  # what a process writes about a download, before and after a rename
POINTS = 0.05  # of the hit ratio, behind an ideal cache
SMALL = 256 * 1024
SIZES = list_sizes((SMALL, 5.0), long=(SMALL, 20.0), full=(8 * MIB, 300.0), seconds=600)


@dataclass
class Trace:
    """What was pulled in which order, and what of it was here."""

    pulled: list[int] = field(default_factory=list)
    hits: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, number: int, *, is_hit: bool) -> None:
        with self.lock:
            self.pulled.append(number)
            self.hits += is_hit

    @property
    def ratio(self) -> float:
        return self.hits / len(self.pulled)


def replay(pulled: list[int], room: int) -> float:
    """The hit ratio of an ideal LRU cache that has room for so many images."""
    cache: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for number in pulled:
        hits += number in cache
        cache.pop(number, None)
        cache[number] = None
        while len(cache) > room:
            cache.popitem(last=False)
    return hits / len(pulled)


def measure(mirror: MirrorProcess) -> int:
    """Return the bytes of all blobs and partial files while all processes are stopped."""
    os.killpg(mirror.pid, signal.SIGSTOP)
    try:
        while True:
            files = [*(mirror.data / "blobs").glob("*/*/*"), *(mirror.data / "spool").iterdir()]
            with suppress(FileNotFoundError):  # the last of them is only just stopping
                sizes = [each.stat().st_size for each in files if each.suffix not in SIDE_FILES]
                return sum(sizes)
    finally:
        os.killpg(mirror.pid, signal.SIGCONT)


def pull(mirror: MirrorProcess, image: Image) -> bool:
    """Pull an image and check every byte; return whether its layer was stored."""
    base = f"{mirror.url}/v2/{image.repository}"
    assert fetch(f"{base}/manifests/1").body == image.manifest
    answers = [fetch(f"{base}/blobs/{digest}") for digest in image.blobs]
    for digest, answer in zip(image.blobs, answers, strict=True):
        assert answer.status == 200
        assert f"sha256:{hashlib.sha256(answer.body).hexdigest()}" == digest
    return answers[-1].origin in ("hit", "joined")


@pytest.mark.alone
@pytest.mark.parametrize(("size", "seconds"), SIZES)
def test_many_pulls_stay_within_the_limit(
    make_mirror: MirrorMaker,
    hub: FakeUpstream,
    note: Callable[[str], None],
    size: int,
    seconds: float,
) -> None:
    """The used bytes stay within the limit, no pull fails, and nearly all possible hits happen."""
    chance = random.Random(1)
    images = [
        hub.add_image(f"many/i{number}", "1", [chance.randbytes(size)]) for number in range(IMAGES)
    ]
    each = size + len(images[0].manifest) + images[0].sizes[images[0].config or ""]
    limit = IMAGES * each // TIMES
    storage = {"limit": limit, "reserve": 0, "keep_pulled": 0}
    mirror = make_mirror({"storage": storage, "tags": {"fresh_for": "1h"}})
    trace, ending = Trace(), threading.Event()
    weights = [1 / (number + 1) for number in range(IMAGES)]

    def pull_at_random(seed: int) -> None:
        mine = random.Random(seed)
        while not ending.is_set():
            (number,) = mine.choices(range(IMAGES), weights)
            trace.note(number, is_hit=pull(mirror, images[number]))

    samples = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(pull_at_random, seed) for seed in range(CLIENTS)]
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until and not any(client.done() for client in clients):
                samples.append(measure(mirror))
                time.sleep(0.05)
        finally:
            ending.set()
        for client in clients:
            client.result()

    ideal = replay(trace.pulled, limit // each)
    note(
        f"{len(trace.pulled)} pulls of {IMAGES} images for {TIMES}x the limit: at most"
        f" {max(samples) / limit:.3f} of it in {len(samples)} samples, hits {trace.ratio:.3f}"
        f" (ideal {ideal:.3f})"
    )
    assert max(samples) <= limit
    assert trace.ratio >= ideal - POINTS


def test_a_blob_that_never_fits_is_passed_through(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """What is larger than the limit reaches its client, is not kept, and the log says so."""
    image = hub.add_image("large/image", "1", [random.Random(2).randbytes(2 * MIB)])
    mirror = make_mirror({"storage": {"limit": MIB, "reserve": 0}})

    assert not pull(mirror, image)

    wait_until(lambda: mirror.events("passed through, not stored"), "the log says so")
    assert measure(mirror) < MIB


def test_a_failure_before_the_first_byte_is_an_error(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """If the disk refuses, and then the upstream too, the client gets the status that says why."""
    image = hub.add_image("large/image", "1", [random.Random(2).randbytes(3 * MIB // 2)])
    mirror = make_mirror({"storage": {"limit": MIB, "reserve": 0}}, workers=1)
    fetch(f"{mirror.url}/v2/large/image/manifests/1")
    hub.redirect_blobs = False
    hub.faults.add(Fault("blob", Status(404), skip=1, times=None))

    answer = fetch(f"{mirror.url}/v2/large/image/blobs/{image.layers[0]}")

    assert (answer.status, b"BLOB_UNKNOWN" in answer.body) == (404, True)


def test_use_survives_a_kill(make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path) -> None:
    """After kill -9 stored bytes are counted, and reservations of dead processes are released."""
    layer = random.Random(3).randbytes(MIB)
    first = hub.add_image("kill/first", "1", [layer])
    others = [
        hub.add_image(f"kill/o{n}", "1", [random.Random(n + 9).randbytes(MIB)]) for n in range(4)
    ]
    mirror = make_mirror({"storage": {"limit": 3 * MIB, "reserve": 0, "keep_pulled": 0}})
    pull(mirror, first)
    mirror.kill()
    mirror.start()
    for image in others:
        pull(mirror, image)
        assert measure(mirror) <= 3 * MIB
