"""Laws of endpoints that have sent wrong bytes, or may have."""

from collections.abc import AsyncIterator

import httpx
import pytest
import structlog

from registry.upstream.auth import Login
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.performance import (
    ENOUGH_RIGHT,
    FIRST_TRIAL,
    LONGEST_TRIAL,
    SUSPECT_TIME,
)
from registry.upstream.suspects import Suspects
from registry.upstream.tokens import TokenCache
from tests.unit.upstream.test_failover import ABSENT, answer, make_pool

NAMES = ("first", "second", "third")


class Site:
    """Three endpoints and what is known of them; `now` is in seconds."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.now = 1000.0
        urls = [f"https://{name}.example" for name in NAMES]
        self.endpoints = [
            Endpoint(url, client, Login(url, None, TokenCache(client, float)), float, print)
            for url in urls
        ]
        for each in self.endpoints:
            each.measured.now = lambda: self.now
        self.suspects = self.build()

    def build(self, trusted: int | None = None, *, needs_proof: bool = False) -> Suspects:
        own = [] if trusted is None else [self.endpoints[trusted]]
        return Suspects("u", self.endpoints, needs_proof=needs_proof, trusted=own)

    def origins(self, *numbers: int) -> list[str]:
        return [self.endpoints[number].origin for number in numbers]

    def order(self, suspects: Suspects) -> list[int]:
        ranked = sorted(self.endpoints, key=suspects.rank)
        return [self.endpoints.index(each) for each in ranked]

    def choose(self, suspects: Suspects, *failed: int) -> list[int]:
        able = sorted(self.endpoints, key=suspects.rank)
        chosen = suspects.choose_senders(able, [self.endpoints[number] for number in failed])
        return [self.endpoints.index(each) for each in chosen]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with httpx.AsyncClient() as client:
        yield Site(client)


async def test_without_others_one_suspect_sends_all(site: Site) -> None:
    """So the digest says whether it lies; the likeliest liar is not the one."""
    suspects = site.suspects
    assert site.choose(suspects) == [0, 1, 2]
    suspects.mark(site.origins(1, 0))
    assert site.choose(suspects) == [2]
    suspects.mark(site.origins(2, 1, 0))
    assert site.order(suspects) == [2, 1, 0]
    assert site.choose(suspects) == [2]
    assert site.choose(suspects, 2) == [1]


async def test_who_does_not_answer_is_nobody_else(site: Site) -> None:
    """It has failed for this blob, so that a suspect gets the ranges: all its connections."""
    site.suspects.mark(site.origins(1))

    assert site.choose(site.suspects, 0, 2) == [1]
    assert site.choose(site.suspects, 0, 1, 2) == [0, 2, 1]
    assert site.choose(site.suspects, 2) == [0, 2]


async def test_of_all_that_are_marked_the_trusted_one_is_first(site: Site) -> None:
    """It needs no proof, unless its own bytes were wrong."""
    suspects = site.build(trusted=0)
    suspects.mark(site.origins(1, 2, 0))

    assert site.order(suspects) == [0, 1, 2]
    assert [suspects.are_proven(site.origins(each)) for each in range(3)] == [True, False, False]
    suspects.convict(*site.origins(0), "a/blobs/b")
    assert site.order(suspects) == [1, 2, 0]
    assert not suspects.are_proven(site.origins(0))


async def test_a_liar_is_suspect_until_it_has_sent_right_bytes(site: Site) -> None:
    """Also when it is not marked any more, and in another process: measurements are shared."""
    with structlog.testing.capture_logs() as logged:
        site.suspects.convict(*site.origins(0), "a/blobs/b")
    site.now += SUSPECT_TIME + 1
    assert [(each["event"], each["endpoint"]) for each in logged] == [
        ("endpoint sent wrong bytes", *site.origins(0))
    ]

    for suspects in (site.suspects, site.build()):
        assert site.order(suspects) == [1, 2, 0]
        assert site.choose(suspects) == [1, 2]
        assert not suspects.are_proven(site.origins(0))
    site.endpoints[0].measured.note_right(ENOUGH_RIGHT)
    assert site.choose(site.suspects) == [0, 1, 2]
    assert site.suspects.are_proven(site.origins(0))


@pytest.mark.parametrize("needs_proof", [False, True])
async def test_of_the_only_endpoint_nothing_is_held_back(site: Site, needs_proof: bool) -> None:
    """Clients would wait for the same bytes; unless the settings want a proof."""
    del site.endpoints[1:]
    suspects = site.build(needs_proof=needs_proof)
    suspects.convict(*site.origins(0), "a/blobs/b")

    assert suspects.are_proven(site.origins(0)) != needs_proof


async def test_who_was_right_is_not_marked_any_more(site: Site) -> None:
    site.suspects.mark(site.origins(0, 1))
    site.suspects.acquit(*site.origins(0))

    assert site.choose(site.suspects) == [0, 2]


@pytest.mark.parametrize("needs_proof", [False, True])
async def test_bytes_of_nobody_are_proven_where_no_proof_is_wanted(
    site: Site, needs_proof: bool
) -> None:
    """Nobody knows who has sent them: an earlier version of the program, or nobody yet."""
    suspects = site.build(needs_proof=needs_proof)
    assert suspects.are_proven([""]) != needs_proof


async def test_a_liar_is_tried_after_an_hour_and_then_ever_more_rarely(site: Site) -> None:
    """The wait doubles each time that its bytes are wrong, and is a day at most."""
    for hours in (1, 2, 4, 8, 16, 24, 24, 24):
        site.suspects.convict(*site.origins(0), "a/blobs/b")
        site.now += SUSPECT_TIME + hours * 3600.0 - 1
        assert site.suspects.list_due() == []
        site.now += 1
        assert site.suspects.list_due() == site.endpoints[:1]


async def test_the_last_resort_are_those_that_were_never_wrong(site: Site) -> None:
    """Only if nobody is proven; and where a proof is wanted, they have sent right bytes before."""
    first, second, third = site.endpoints
    site.suspects.mark(site.origins(0, 1))
    assert site.suspects.list_last_resort() == []

    site.suspects.convict(*site.origins(2), "a/blobs/b")

    assert site.suspects.list_last_resort() == [first, second]
    second.measured.note_right(1)
    assert site.build(needs_proof=True).list_last_resort() == [second]
    assert third not in site.suspects.list_last_resort()


async def test_a_trial_that_brings_nothing_is_made_again_after_the_same_wait(site: Site) -> None:
    """Whoever is marked counts as tried now, in all processes; whose bytes are right goes on."""
    site.suspects.convict(*site.origins(0), "a/blobs/b")
    site.now += SUSPECT_TIME + FIRST_TRIAL
    site.suspects.mark(site.origins(0))
    assert site.build().list_due() == []
    site.now += SUSPECT_TIME + FIRST_TRIAL - 1
    assert site.build().list_due() == []
    site.now += 1
    assert site.build().list_due() == site.endpoints[:1]

    site.suspects.mark(site.origins(0))
    site.suspects.acquit(*site.origins(0))
    assert site.build().list_due() == site.endpoints[:1]


async def test_only_a_liar_beside_others_is_tried(site: Site) -> None:
    """If all are suspect they are asked anyway, and who is only marked will be soon."""
    site.suspects.mark(site.origins(0))
    site.now += SUSPECT_TIME + LONGEST_TRIAL
    assert site.suspects.list_due() == []

    for number in range(3):
        assert site.suspects.list_due() == site.endpoints[:number]
        site.suspects.convict(*site.origins(number), "a/blobs/b")
        site.now += SUSPECT_TIME + LONGEST_TRIAL
    assert site.suspects.list_due() == []


@pytest.fixture
async def pool() -> EndpointPool:
    """Two endpoints, and a clock that stands still."""
    return make_pool(lambda: 0.0)


async def test_suspect_is_asked_last(pool: EndpointPool) -> None:
    """An endpoint that sent wrong bytes is asked when the others do not have the blob."""
    pool.suspects.mark(["https://first.example"])
    ask, asked = answer(ABSENT, "yes")
    assert await pool.ask(ask) == "yes"
    assert asked == ["second", "first"]


def test_all_may_be_suspect(pool: EndpointPool) -> None:
    """When all have sent wrong bytes, all are still asked, the one marked last as the last."""
    first, second = pool.candidates()
    pool.suspects.mark([second.origin, first.origin])
    assert [second, first] == pool.candidates()


async def test_endpoint_is_suspect_for_ten_minutes() -> None:
    """After ten minutes an endpoint that sent wrong bytes is asked in its own place again."""
    now = 1000.0
    pool = make_pool(lambda: now)
    expected = pool.candidates()
    pool.suspects.mark([expected[0].origin])

    now += SUSPECT_TIME - 1
    assert expected[::-1] == pool.candidates()
    now += 1
    assert expected == pool.candidates()


async def test_a_mark_of_a_clock_that_was_wrong_does_not_count() -> None:
    """After the clock was set back a day, nobody is suspect, and a new mark lasts ten minutes."""
    now = 86_400.0
    pool = make_pool(lambda: now)
    first, second = expected = pool.candidates()
    pool.suspects.mark([first.origin])

    now -= 86_000.0
    assert expected == pool.candidates()
    pool.suspects.mark([second.origin, first.origin])
    assert [second, first] == pool.candidates()
    now += SUSPECT_TIME + 1
    assert expected == pool.candidates()
    assert not any(map(pool.suspects.is_suspect, expected))
