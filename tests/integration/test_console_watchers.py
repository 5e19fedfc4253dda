"""How much pulls are slowed down by people who watch the console."""

import http.client
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.harness.sizes import list_sizes
from tests.harness.watchers import Watchers
from tests.integration.images import keep, make_layer
from tests.integration.test_console import MIB, open_blob
from tests.integration.wire import PATIENCE, wait_until

WATCHERS = 20
SLOWDOWN = 1.05  # the median of pulls with watchers, against that without
TRIES = 3  # a machine that does something else meanwhile makes either of them slower
PULLS = 60  # in each half of a round; they take about as long as three looks of the console
PAUSE = 0.05  # seconds between two pulls


@dataclass
class Rounds:
    """Seconds that pulls took, of each half of each round."""

    alone: list[list[float]] = field(default_factory=list)
    watched: list[list[float]] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return _find_median(self.watched) / _find_median(self.alone)

    def __str__(self) -> str:
        lines = [
            f"round {number}: {statistics.median(alone) * 1000:.2f} ms alone,"
            f" {statistics.median(watched) * 1000:.2f} ms watched"
            for number, (alone, watched) in enumerate(zip(self.alone, self.watched, strict=True), 1)
        ]
        each = [
            statistics.median(watched) / statistics.median(alone)
            for alone, watched in zip(self.alone, self.watched, strict=True)
        ]
        alone, watched = _find_median(self.alone) * 1000, _find_median(self.watched) * 1000
        how = f"{len(each)} rounds with {PULLS} pulls in each half"
        lines.append(
            f"{how}: {alone:.3f} ms alone, {watched:.3f} ms with {WATCHERS} watchers,"
            f" ratio {self.ratio:.3f} (rounds: {min(each):.3f} to {max(each):.3f})"
        )
        return "\n".join(lines)


def _find_median(halves: list[list[float]]) -> float:
    return statistics.median(seconds for half in halves for seconds in half)


@pytest.mark.alone
@pytest.mark.parametrize("rounds", list_sizes(long=3, full=20, seconds=900))
def test_watchers_do_not_slow_down_pulls(
    make_mirror: MirrorMaker,
    hub: FakeUpstream,
    rounds: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With 20 browsers that watch a download, a pull takes at most 5 % longer than without them."""
    mirror = make_mirror(workers=2)
    image = hub.add_image("team/app", "1", [make_layer(1, 4 * MIB), make_layer(2, MIB)])
    keep(mirror, image)
    # What changes each second, with and without watchers: a download that takes hours.
    slow = hub.add_big_blob(256 * MIB, repository="team/slow")
    hub.rate = 32 * 1024
    with open_blob(f"{mirror.url}/v2/team/slow/blobs/{slow}"):
        spool = mirror.data / "spool"
        wait_until(lambda: list(spool.glob("*.json")), "the download is running")
        for _ in range(TRIES):
            found = measure(mirror, image, rounds)
            with capsys.disabled():
                sys.stdout.write(f"\n{found}\n")
            if found.ratio <= SLOWDOWN:
                return
    raise AssertionError(str(found))


def measure(mirror: MirrorProcess, image: Image, rounds: int) -> Rounds:
    """Pull with and without watchers in turns; which comes first changes with each round."""
    found = Rounds()
    for number in range(rounds):
        for is_watched in (number % 2 == 1, number % 2 == 0):
            with ExitStack() as stack:
                watchers = stack.enter_context(Watchers(mirror, WATCHERS)) if is_watched else None
                before = list(watchers.events) if watchers else []
                (found.watched if is_watched else found.alone).append(pull_often(mirror, image))
                if watchers:
                    pairs = zip(watchers.events, before, strict=True)
                    assert all(after > seen for after, seen in pairs), "each of them has watched"
    return found


def pull_often(mirror: MirrorProcess, image: Image) -> list[float]:
    """Pull an image again and again over one connection; return the seconds of each pull."""
    parts = urlsplit(mirror.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
    paths = [f"manifests/{image.tag}", *(f"blobs/{digest}" for digest in image.blobs)]
    times = []
    try:
        for _ in range(PULLS):
            began = time.monotonic()
            for path in paths:
                connection.request("GET", f"/v2/{image.repository}/{path}")
                answer = connection.getresponse()
                assert answer.status == 200
                while answer.read(MIB):
                    pass
            times.append(time.monotonic() - began)
            time.sleep(PAUSE)
    finally:
        connection.close()
    return times
