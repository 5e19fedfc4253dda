"""Blobs from two endpoints that are ranked by what they deliver."""

import time
from contextlib import aclosing

from registry.oci.digest import Digest
from registry.upstream.ranking import EXPLORING
from registry.upstream.registry import RegistrySource
from tests.fakes.upstream import FakeUpstream
from tests.harness.process_parts import open_source

NAME = "library/thing"
MIB = 1024 * 1024
SIZE = 2 * MIB
FAST, SLOW = 60 * MIB, 2 * MIB  # bytes per second
LONGEST = 30.0  # seconds that a blob after a blob is read until the better endpoint is preferred


class Blobs:
    """Blobs that two endpoints have; each is read once."""

    def __init__(self, *hubs: FakeUpstream) -> None:
        self._hubs = hubs
        self._seed = 0

    @property
    def tag(self) -> str:
        """The tag of the image with the last blob."""
        return str(self._seed)

    def add(self, size: int = SIZE) -> Digest:
        """Add one more blob to all, and an image that has it."""
        self._seed += 1
        (digest,) = {hub.add_big_blob(size, self._seed) for hub in self._hubs}
        for hub in self._hubs:
            hub.add_image(NAME, self.tag, [digest])
        return Digest.parse(digest)

    async def read(self, source: RegistrySource, size: int = SIZE) -> str:
        """Read one more blob, and return which endpoint has sent its end, by number."""
        download = source.open_blob(NAME, self.add(size), size)
        count = 0
        async with aclosing(download.stream(0, size)) as chunks:
            async for chunk in chunks:
                count += len(chunk)
        assert count == size
        return str([hub.url for hub in self._hubs].index(download.endpoint))


def first(source: RegistrySource, size: int = 16 * MIB) -> str:
    """Return the endpoint that a blob of this size is asked from first."""
    return source._pool.candidates(size=size)[0].origin


async def exchange_rates(hub: FakeUpstream, other: FakeUpstream) -> tuple[int, float]:
    """Let `hub` be fast and `other` slow, and then the other way round.

    Returns:
        How many blobs were read after the change, and how many seconds that took, until `other` was
        preferred.
    """
    blobs = Blobs(hub, other)
    hub.rate, other.rate = FAST, SLOW
    async with open_source(hub.url, other.url) as source:
        for _ in range(EXPLORING):
            await blobs.read(source)
        assert first(source) == hub.url
        assert other.journal.count("blob", "GET") > 0  # it was explored

        hub.rate, other.rate = SLOW, FAST
        changed = time.monotonic()
        count = 0
        while first(source) != other.url:
            assert time.monotonic() < changed + LONGEST, "the slow endpoint is still preferred"
            await blobs.read(source)
            count += 1
        seconds = time.monotonic() - changed
        assert await blobs.read(source) == "1"
    return count, seconds
