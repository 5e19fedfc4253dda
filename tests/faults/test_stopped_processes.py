"""SIGSTOP and SIGKILL of each process at random, under load: how long anybody waits."""

import hashlib
import http.client
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.large_layer import KIB, MIB
from tests.harness.mirror import MirrorProcess
from tests.harness.processes import list_children

SEED = 29
CLIENTS = 8
WORKERS = 3
SIZE = 512 * KIB
NEXT = 1.0  # seconds after which all clients turn to the next image, which nobody has pulled yet
MOST = 35.0  # seconds that anybody may wait
LIMIT = "200MiB"
SECONDS = [
    pytest.param(75.0, marks=[pytest.mark.programs, pytest.mark.timeout(300)]),
    pytest.param(600.0, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
]


@dataclass
class Client:
    """Pulls the images that the others pull too, and measures its waits.

    A wait is the time between two signs of the server: bytes, or the end of the connection.
    """

    mirror: MirrorProcess
    choose: Callable[[], Image]
    longest: float = 0.0
    right: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    _last: float = 0.0

    def pull_until(self, ending: threading.Event) -> None:
        """Pull image after image; a pull that breaks is tried again."""
        while not ending.is_set():
            image = self.choose()
            self._last = time.monotonic()
            while not ending.is_set():
                try:
                    self._pull(image)
                    break
                except (OSError, http.client.HTTPException) as error:
                    self.failed[type(error).__name__] += 1
                    self._note()
                    time.sleep(0.05)

    def _pull(self, image: Image) -> None:
        host = urlsplit(self.mirror.url).netloc
        connection = http.client.HTTPConnection(host, timeout=2 * MOST)
        try:
            body = self._get(connection, f"/v2/{image.repository}/manifests/1")
            self._check(body, image.manifest)
            for digest in image.layers:
                body = self._get(connection, f"/v2/{image.repository}/blobs/{digest}")
                if f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
                    self.wrong.append(digest)
                self.right += 1
        finally:
            connection.close()

    def _check(self, body: bytes, expected: bytes) -> None:
        if body != expected:
            self.wrong.append(body[:200].decode(errors="replace"))

    def _get(self, connection: http.client.HTTPConnection, path: str) -> bytes:
        connection.request("GET", path)
        response = connection.getresponse()
        self._note()
        if response.status != 200:
            raise ConnectionError(f"{path}: {response.status}")
        received = bytearray()
        while piece := response.read1(64 * KIB):
            received += piece
            self._note()
        if response.length:
            raise http.client.IncompleteRead(bytes(received))
        response.close()
        return bytes(received)

    def _note(self) -> None:
        now = time.monotonic()
        self.longest = max(self.longest, now - self._last)
        self._last = now


def harm(mirror: MirrorProcess, chance: random.Random, ending: threading.Event) -> Counter[str]:
    """Stop or kill a child at random every few seconds; those that are stopped stay so."""
    done: Counter[str] = Counter()
    while not ending.wait(chance.uniform(1, 8)):
        victim = chance.choice(list_children(mirror.pid))
        number = chance.choice((signal.SIGSTOP, signal.SIGKILL))
        os.kill(victim, number)
        done[number.name] += 1
    return done


@pytest.mark.parametrize("seconds", SECONDS)
def test_nobody_waits_longer_for_a_stopped_process(
    hub: FakeUpstream, make_mirror: MirrorMaker, note: Callable[[str], None], seconds: float
) -> None:
    """The watchdog kills it, others go on with what it was writing, and no byte is wrong."""
    hub.rate = 4 * MIB
    mirror = make_mirror({"storage": {"limit": LIMIT}}, workers=WORKERS)
    chance = random.Random(SEED)
    images = [
        hub.add_image(f"stopped/i{number}", "1", [chance.randbytes(SIZE)])
        for number in range(int(seconds / NEXT) + 1)
    ]
    began = time.monotonic()

    def choose() -> Image:
        return images[min(len(images) - 1, int((time.monotonic() - began) / NEXT))]

    ending = threading.Event()
    clients = [Client(mirror, choose) for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        pulls = [pool.submit(client.pull_until, ending) for client in clients]
        harming = pool.submit(harm, mirror, chance, ending)
        try:
            ending.wait(seconds)
        finally:
            ending.set()  # otherwise the pool would wait for ever if this test is interrupted
        for each in pulls:
            each.result()

    longest = max(client.longest for client in clients)
    failed = sum((client.failed for client in clients), Counter[str]())
    replaced = len(mirror.events("a process did not answer and is replaced"))
    note(
        f"seed {SEED}: {dict(harming.result())} in {seconds:.0f} s, {replaced} did not answer"
        f" and were replaced; longest wait {longest:.1f} s; {sum(c.right for c in clients)}"
        f" blobs right, {dict(failed)} tried again"
    )
    assert [client.wrong for client in clients] == [[]] * CLIENTS
    assert min(client.right for client in clients) > 0
    assert replaced > 0
    assert longest <= MOST
