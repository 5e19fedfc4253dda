"""Laws of requests in flight: an address with too many waits for its own, and nobody else does."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from registry.api.open_requests import OpenRequests
from registry.errors import TooManyRequests
from registry.metrics.process_metrics import Metrics
from registry.settings.client_networks import find_network

MOST = 3
CLIENT, OTHER = "192.0.2.1", "192.0.2.2"
SOON = 0.05  # seconds that a request waits


class Site:
    """The limit, and requests that last until a test ends them."""

    def __init__(self, patience: float = SOON) -> None:
        self.metrics = Metrics()
        self.limit = OpenRequests(MOST, self.metrics, find_network, patience=patience)
        self.running: list[asyncio.Task[None]] = []
        self.begun: list[int] = []  # which requests are being answered, by their number

    async def _answer(self, client: str | None, end: asyncio.Event, number: int) -> None:
        await self.limit.begin(client)
        self.begun.append(number)
        await end.wait()

    async def begin(self, client: str | None = CLIENT, count: int = 1) -> list[Callable[[], None]]:
        """Begin requests; return what ends each of them."""
        ends = [asyncio.Event() for _ in range(count)]
        for end in ends:
            answering = self._answer(client, end, len(self.running))
            self.running.append(asyncio.create_task(answering))
        await asyncio.sleep(0)
        return [end.set for end in ends]

    def count(self, name: str) -> float:
        found = self.metrics.registry.get_sample_value(
            f"entrepot_{name}_requests_total", {"reason": "address"}
        )
        return found or 0


@pytest.fixture
def site() -> Site:
    return Site()


async def test_an_address_with_too_many_is_refused(site: Site) -> None:
    """After some time, with the number and the setting; the log says so once."""
    await site.begin(count=MOST)
    with capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(TooManyRequests, match=r"has 3 .*limits\.requests_per_address"):
                await site.limit.begin(CLIENT)

    assert [(each["event"], each["client"]) for each in lines] == [
        ("client has too many requests at once", CLIENT)
    ]
    assert (site.count("delayed"), site.count("refused")) == (2, 2)


async def test_nobody_else_waits(site: Site) -> None:
    """Another address has requests of its own; who has no address is not counted."""
    await site.begin(count=MOST)

    await site.begin(OTHER, MOST)
    await site.begin(None, MOST + 1)

    assert site.count("delayed") == 0
    assert not site.limit.has_room(CLIENT)
    assert site.limit.has_room(None)


@pytest.mark.parametrize(
    ("client", "is_same"),
    [("2001:db8::2", True), ("2001:db8:0:1::1", False), ("::ffff:192.0.2.1", False)],
)
async def test_what_counts_as_one_address(site: Site, client: str, *, is_same: bool) -> None:
    """A network /64 of IPv6 is one; IPv4 is the same on a socket for both."""
    await site.begin("2001:db8::1", MOST)

    assert site.limit.has_room(client) is not is_same


async def test_a_request_waits_for_the_end_of_another() -> None:
    """Whoever has waited longest is first, and none is refused."""
    site = Site(patience=30)
    first, second, *_ = await site.begin(count=MOST)
    await site.begin(count=2)
    assert site.begun == [0, 1, 2]

    first()
    await asyncio.gather(site.running[0])
    second()
    await asyncio.gather(site.running[1])
    async with asyncio.timeout(20):
        while len(site.begun) < MOST + 2:  # noqa: ASYNC110 (nothing notifies the test)
            await asyncio.sleep(0.001)

    assert site.begun == [0, 1, 2, 3, 4]
    assert (site.count("delayed"), site.count("refused")) == (2, 0)


async def test_no_more_wait_than_are_answered() -> None:
    """So an address has at most twice as many, however many it sends."""
    site = Site(patience=30)
    await site.begin(count=2 * MOST)

    with pytest.raises(TooManyRequests):
        await site.limit.begin(CLIENT)


async def test_a_client_that_leaves_makes_room() -> None:
    """Whether its request is answered or waits, and also in the moment when its turn comes."""
    site = Site(patience=30)
    ends = await site.begin(count=MOST)
    await site.begin(count=2)
    leaving, last = site.running[MOST:]

    ends[0]()
    for _ in range(2):  # the end of the first gives its place to the one that leaves now
        await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    for end in ends[1:]:
        end()
    await asyncio.gather(*site.running[:MOST])
    last.cancel()
    await asyncio.gather(last, return_exceptions=True)
    await asyncio.sleep(0)

    assert site.limit.has_room(CLIENT)
    assert len(site.limit) == 0, "nothing is remembered of an address without requests"


async def test_answers_that_are_sent_for_long_count_too(site: Site) -> None:
    """A repeated blob is counted by `add`, which asks nobody, and ends by `end`."""
    for _ in range(MOST):
        assert site.limit.has_room(CLIENT)
        site.limit.add(CLIENT)
    assert not site.limit.has_room(CLIENT)
    await site.begin()

    site.limit.end(CLIENT)
    await asyncio.sleep(0)
    for _ in range(MOST - 1):
        site.limit.end(CLIENT)
    site.limit.add(None)
    site.limit.end(None)

    assert site.count("refused") == 0
    assert site.limit.has_room(CLIENT)
