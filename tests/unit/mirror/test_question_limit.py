"""Laws of the limit for what no upstream has: who exceeds it waits, and nobody else does."""

import asyncio
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from registry.errors import ManifestUnknown, TooManyUnknown, UpstreamError
from registry.metrics.process_metrics import Metrics
from registry.mirror import question_limit
from registry.mirror.question_limit import BURST, QuestionLimit

RATE = 2.0
TOKENS = int(BURST * RATE)
ATTACKER, OTHER = "192.0.2.1", "192.0.2.2"
SOON = 0.05  # seconds that a request waits for a token


class Site:
    """A limit with a clock that a test sets."""

    def __init__(self, rate: float = RATE, patience: float = SOON) -> None:
        self.now = 0.0
        self.metrics = Metrics()
        self.limit = QuestionLimit(rate, self.metrics, lambda: self.now, patience)

    async def miss(self, client: str = ATTACKER, count: int = 1) -> None:
        """Ask for what is not found."""
        for _ in range(count):
            with suppress(ManifestUnknown):
                async with self.limit.hold(client):
                    raise ManifestUnknown("library/a", "1")

    def count_delayed(self) -> float:
        name, labels = "entrepot_delayed_requests_total", {"reason": "not found"}
        return self.metrics.registry.get_sample_value(name, labels) or 0


@pytest.fixture
def site() -> Site:
    return Site()


async def test_who_asks_for_too_much_is_refused(site: Site) -> None:
    """The burst is free, the next request waits and is refused; later there is a token again."""
    await site.miss(count=TOKENS)
    assert site.count_delayed() == 0

    with capture_logs() as lines, pytest.raises(TooManyUnknown):
        await site.miss()
    assert site.count_delayed() == 1
    assert [(each["event"], each["client"]) for each in lines] == [
        ("client asks for much that does not exist", ATTACKER)
    ]
    site.now += 1 / RATE
    await site.miss()
    with pytest.raises(TooManyUnknown):
        await site.miss()


async def test_the_log_has_what_is_kept_of_an_address(site: Site) -> None:
    """The limit is that of the whole address: its neighbour has tokens of its own."""
    site.limit = QuestionLimit(RATE, site.metrics, lambda: site.now, SOON, lambda _: "192.0.2.0/24")
    await site.miss(count=TOKENS)
    await site.miss(OTHER, TOKENS)
    with capture_logs() as lines, pytest.raises(TooManyUnknown):
        await site.miss()

    assert [each["client"] for each in lines] == ["192.0.2.0/24"]


async def test_nobody_else_waits(site: Site) -> None:
    """Another address has tokens of its own, and the mirror itself needs none."""
    await site.miss(count=TOKENS)
    await site.miss(OTHER, TOKENS)
    async with site.limit.hold(None):
        pass
    assert site.count_delayed() == 0


async def test_what_is_found_costs_nothing(site: Site) -> None:
    """Nor does an upstream that does not answer; an empty answer does."""
    for _ in range(2 * TOKENS):
        async with site.limit.hold(ATTACKER):
            pass
        with suppress(UpstreamError):
            async with site.limit.hold(ATTACKER):
                raise UpstreamError("https://a.example", "no answer")
    assert site.count_delayed() == 0

    for _ in range(TOKENS):
        async with site.limit.hold(ATTACKER) as question:
            question.is_empty = True
    with pytest.raises(TooManyUnknown):
        await site.miss()


async def test_a_request_waits_for_its_token() -> None:
    """Those that wait get the next tokens in their order."""
    site = Site(rate=100.0, patience=10.0)
    await site.miss(count=int(BURST * 100))
    order: list[int] = []

    async def ask(number: int) -> None:
        await site.miss()
        order.append(number)

    waiting = [asyncio.create_task(ask(number)) for number in range(3)]
    for step in range(3):
        await asyncio.sleep(0.02)
        assert order == list(range(step))
        site.now += 0.0101
        await asyncio.wait(waiting[step : step + 1], timeout=1)
    assert order == [0, 1, 2]
    assert site.count_delayed() == 3


async def test_a_token_that_is_given_back_serves_who_waits() -> None:
    """Many clients behind one address pull what exists: nobody waits for the clock."""
    site = Site(patience=10.0)
    ended, running = asyncio.Event(), []

    async def pull() -> None:
        async with site.limit.hold(ATTACKER):
            await ended.wait()

    running = [asyncio.create_task(pull()) for _ in range(2 * TOKENS)]
    await asyncio.sleep(0)
    assert site.count_delayed() == TOKENS
    ended.set()
    async with asyncio.timeout(1):
        await asyncio.gather(*running)


async def test_a_client_that_leaves_pays(site: Site) -> None:
    """Its question goes on without it. A client that leaves while it waits takes no token."""
    asking = [asyncio.create_task(_ask_for_ever(site)) for _ in range(TOKENS + 1)]
    await asyncio.sleep(0.01)
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)

    with pytest.raises(TooManyUnknown):
        await site.miss()
    site.now += 1 / RATE
    await site.miss()


async def test_a_client_that_leaves_in_its_turn_gives_the_token_back() -> None:
    """The token was given to its request, which is not there any more to use it."""
    site = Site(patience=10.0)
    await site.miss(count=TOKENS)
    leaving = asyncio.create_task(site.miss())
    await asyncio.sleep(0)
    site.now += 1 / RATE
    (allowance,) = site.limit._allowances.values()
    site.limit._serve(allowance)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)

    await asyncio.wait_for(site.miss(), SOON)


async def test_addresses_are_forgotten(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with all their tokens, and the oldest of too many."""
    monkeypatch.setattr(question_limit, "MOST", 3)
    for number in range(10):
        await site.miss(f"198.51.100.{number}")
    assert len(site.limit) == 3

    site.now += BURST
    await site.miss(OTHER)
    assert len(site.limit) == 1


async def _ask_for_ever(site: Site) -> None:
    async with site.limit.hold(ATTACKER):
        await asyncio.Event().wait()
