"""Clients that pull image after image, and look at every byte."""

import hashlib
import http.client
import random
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from tests.fakes.upstream import Image
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import Answer, fetch

CLIENTS = 4


def pull_blob(mirror: MirrorProcess, image: Image, digest: str) -> Answer:
    """Pull a blob; whatever is answered with 200 has to be right."""
    answer = fetch(f"{mirror.url}/v2/{image.repository}/blobs/{digest}")
    if answer.status == 200:
        assert f"sha256:{hashlib.sha256(answer.body).hexdigest()}" == digest
    return answer


def pull(mirror: MirrorProcess, image: Image) -> None:
    """Pull an image, which has to be right."""
    answer = fetch(f"{mirror.url}/v2/{image.repository}/manifests/1")
    assert answer.body == image.manifest, answer
    for digest in image.blobs:
        answer = pull_blob(mirror, image, digest)
        assert answer.status == 200, answer


class Load:
    """Four clients that pull images at random from `with` on; leaving stops and judges them."""

    def __init__(self, mirror: MirrorProcess, images: Sequence[Image], seed: int) -> None:
        self.pulled = 0
        self._mirror = mirror
        self._images = images
        self._seed = seed
        self._ending = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._clients: list[Future[None]] = []

    def _pull_on(self, chance: random.Random) -> None:
        while not self._ending.is_set():
            try:
                pull(self._mirror, chance.choice(self._images))
            except (OSError, http.client.HTTPException):
                if not self._ending.is_set():
                    raise
            else:
                self.pulled += 1

    def is_over(self) -> bool:
        """Whether a client has given up."""
        return any(client.done() for client in self._clients)

    def expect_end(self) -> None:
        """From now on pulls may break off, but a complete answer has to be right."""
        self._ending.set()

    def __enter__(self) -> Self:
        chances = [random.Random(self._seed * CLIENTS + number) for number in range(CLIENTS)]
        self._clients = [self._pool.submit(self._pull_on, chance) for chance in chances]
        return self

    def __exit__(self, *_: object) -> None:
        self.expect_end()
        self._pool.shutdown()
        for client in self._clients:
            client.result()
