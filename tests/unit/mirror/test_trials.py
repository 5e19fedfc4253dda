"""Laws of trials: an endpoint that has sent wrong bytes shows whether it sends right ones by now.

Everything above the transport of httpx is real; the endpoints and the clock are simulated.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from registry.mirror.trials import LEAST, LONGEST, MOST
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.upstream import performance
from registry.upstream.endpoint import Endpoint
from registry.upstream.performance import FIRST_TRIAL, LONGEST_TRIAL, SUSPECT_TIME
from tests.fakes.virtual_endpoints import VirtualEndpoint
from tests.property.endpoint_site import REPOSITORY, EndpointSite, Reader

MIB = 1024 * 1024
SIZE = 4 * MIB
HOUR = 3600.0


@dataclass
class Mirror:
    """A mirror whose first endpoint has sent wrong bytes, and a client that pulls."""

    site: EndpointSite
    endpoints: list[VirtualEndpoint]
    logged: list[Any]
    number: int = 0

    @property
    def liar(self) -> Endpoint:
        """What is known of the first endpoint."""
        return self.site.parts.blobs._sources[REPOSITORY.registry]._pool.endpoints[0]  # type: ignore[attr-defined, no-any-return]

    def wait(self, seconds: float) -> None:
        self.site.run(asyncio.sleep(seconds))

    def pull(self, size: int = SIZE) -> float:
        """Pull a blob that was not pulled before; return how many seconds that took."""
        self.number += 1
        content = random.Random(self.number).randbytes(size)
        for endpoint in self.endpoints:
            endpoint.content = content
        digest, reader = Digest.of(content), Reader(content)
        self.site.allow(digest, size)
        began = self.site.loop.time()
        self.site.join(reader, digest)
        self.site.run(asyncio.wait([reader.task]))
        assert reader.is_whole
        assert reader.got == content
        return self.site.loop.time() - began

    def list_trials(self) -> list[bool]:
        """Return the results of all trials."""
        return [each["is_right"] for each in self.logged if each["event"] == "suspect tried"]


@pytest.fixture
def build() -> Iterator[Callable[..., Mirror]]:
    sites: list[EndpointSite] = []

    def make(count: int = 3) -> Mirror:
        names = "abc"[:count]
        endpoints = [VirtualEndpoint(f"https://{name}.example", rate=8 * MIB) for name in names]
        sites.append(EndpointSite(endpoints, 3))
        mirror = Mirror(sites[0], endpoints, logged)
        mirror.wait(1000.0)
        mirror.liar.measured.note_first_byte(0.0)
        source = mirror.site.parts.blobs._sources[REPOSITORY.registry]
        source._pool.suspects.convict(mirror.liar.origin, "a/blobs/b")  # type: ignore[attr-defined]
        return mirror

    with structlog.testing.capture_logs() as logged:
        try:
            yield make
        finally:
            for site in sites:
                site.close()


def test_who_sends_right_bytes_again_is_forgiven(
    build: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its trial is due, it is asked for what clients pull, until it has sent 64 MiB (here 16).

    No client waits for it or gets a byte of it meanwhile. Then it sends ranges as the others do.
    """
    monkeypatch.setattr(performance, "ENOUGH_RIGHT", 4 * SIZE)
    mirror = build()
    usual = mirror.pull()
    assert mirror.endpoints[0].total == 0

    mirror.wait(SUSPECT_TIME + FIRST_TRIAL)
    seconds = []
    for number in range(4):
        assert mirror.liar.measured.performance.is_distrusted
        assert mirror.list_trials() == [True] * number
        seconds.append(mirror.pull())
        mirror.wait(60.0)

    assert mirror.list_trials() == [True] * 4
    assert not mirror.liar.measured.performance.is_distrusted
    assert max(seconds) <= 1.1 * usual
    assert mirror.endpoints[0].total == 4 * SIZE
    mirror.pull()
    assert mirror.endpoints[0].total > 4 * SIZE
    mirror.wait(60.0)
    assert mirror.list_trials() == [True] * 4


def test_who_still_sends_wrong_bytes_is_tried_ever_more_rarely(
    build: Callable[..., Mirror],
) -> None:
    """In 40 hours with a pull in each, it is tried after about 1, 2, 4, 8 and 16 hours.

    The bytes of the trials are all that it gets to send, and no client is cut.
    """
    mirror = build()
    mirror.endpoints[0].lies = [Span(LEAST // 2, LEAST // 2 + 1)]
    for _ in range(40):
        mirror.pull(LEAST)
        mirror.wait(HOUR)

    assert mirror.list_trials() == [False] * 5
    assert mirror.endpoints[0].total == 5 * LEAST
    assert mirror.liar.measured.performance.wrong == 1 + 5


@pytest.mark.parametrize("trouble", ["is_stalled", "slow", "no connection"])
def test_a_suspect_that_does_not_deliver_holds_nobody_up(
    build: Callable[..., Mirror], trouble: str
) -> None:
    """The trial is given up, shows nothing, and is made again after the same wait."""
    mirror = build()
    usual = mirror.pull()
    mirror.wait(SUSPECT_TIME + FIRST_TRIAL)
    mirror.endpoints[0].is_stalled = trouble == "is_stalled"
    mirror.endpoints[0].has_connection = trouble != "no connection"
    if trouble == "slow":
        mirror.endpoints[0].rate = SIZE / LONGEST / 2

    assert [mirror.pull() <= 1.1 * usual for _ in range(3)] == [True] * 3
    mirror.wait(2 * LONGEST)
    assert mirror.list_trials() == []
    assert not mirror.site.parts.downloads.budget._running
    known = mirror.liar.measured.performance
    assert (known.right, known.wrong) == (0, 1)

    mirror.endpoints[0].is_stalled, mirror.endpoints[0].has_connection = False, True
    mirror.endpoints[0].rate = 8 * MIB
    mirror.endpoints[0].stir()
    mirror.pull()
    mirror.wait(SUSPECT_TIME + FIRST_TRIAL)
    assert mirror.list_trials() == []
    mirror.pull()
    mirror.wait(60.0)
    assert mirror.list_trials() == [True]


@pytest.mark.parametrize(("size", "count"), [(LEAST - 1, 3), (MOST + 1, 3), (SIZE, 1)])
def test_no_trial_is_made_that_proves_nothing_or_costs_much(
    build: Callable[..., Mirror], size: int, count: int
) -> None:
    """Not with a small or very large blob, and not where the suspect is the only endpoint."""
    mirror = build(count)
    mirror.wait(SUSPECT_TIME + LONGEST_TRIAL)
    mirror.pull(size)
    mirror.wait(60.0)

    assert mirror.list_trials() == []
