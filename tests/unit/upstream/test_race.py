"""Laws of asking endpoints without waiting for one that cannot be reached."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from registry.errors import BlobUnknown, UpstreamUnreachable
from registry.upstream import performance
from registry.upstream import race as racing
from registry.upstream.measurements import Measurements
from registry.upstream.performance import Performance
from registry.upstream.race import Race

WAIT = 0.05  # seconds, in place of the real wait for a connection


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "CONNECT_WAIT", WAIT)
    monkeypatch.setattr(performance, "LEAST_PATIENCE", 2 * WAIT)


@dataclass(eq=False)
class Place:
    """An endpoint whose answer takes `seconds`, after it was connected at once, or never.

    When it is asked, `meanwhile` is called.
    """

    name: str
    answer: object
    seconds: float = 0.0
    connects: bool = True
    meanwhile: Callable[[], None] = lambda: None
    connected_at: float = -1.0
    measured: Measurements = field(default_factory=Measurements)
    asked: list[str] = field(default_factory=list)
    was_cancelled: bool = False

    def connect(self) -> None:
        self.connected_at = asyncio.get_running_loop().time()

    async def reply(self) -> object:
        if self.connects:
            self.connect()
        self.meanwhile()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def make_race(*places: Place, **options: bool) -> tuple[Race[object], list[str]]:
    asked: list[str] = []

    async def ask(place: Place) -> object:
        asked.append(place.name)
        return await place.reply()

    race = Race(ask, places, **options)  # type: ignore[arg-type]
    return race, asked


async def test_first_answer_is_enough() -> None:
    """If the first endpoint answers, no other one is asked."""
    race, asked = make_race(Place("a", "yes"), Place("b", "no"))
    assert (await race.run(), asked, race.overtaken) == ("yes", ["a"], [])


async def test_next_one_is_asked_at_once_after_a_failure() -> None:
    """A failure is no reason to wait."""
    failure = BlobUnknown("r", "d")
    first = Place("a", failure)
    race, asked = make_race(first, Place("b", "yes"))

    assert (await race.run(), asked) == ("yes", ["a", "b"])
    assert race.failures == {first: failure}


async def test_endpoint_without_a_connection_is_overtaken() -> None:
    """The next endpoint is asked while the first still has no connection; its answer counts."""
    slow = Place("a", "late", seconds=30.0, connects=False)
    race, asked = make_race(slow, Place("b", "yes"))
    began = asyncio.get_running_loop().time()

    assert (await race.run(), asked) == ("yes", ["a", "b"])
    assert race.overtaken == [slow]
    assert slow.was_cancelled
    assert asyncio.get_running_loop().time() - began < 10


async def test_endpoint_that_gets_a_connection_late_is_not_overtaken() -> None:
    """The next endpoint answers first, but the first one can be reached."""
    late = Place("a", "late", seconds=30.0, connects=False)
    race, asked = make_race(late, Place("b", "yes", meanwhile=late.connect))

    assert (await race.run(), asked) == ("yes", ["a", "b"])
    assert race.overtaken == []


async def test_endpoint_with_a_connection_may_take_its_time() -> None:
    """A mirror that downloads the content itself is not overtaken by the next endpoint."""
    race, asked = make_race(Place("a", "yes", seconds=3 * WAIT), Place("b", "no"))
    assert (await race.run(), asked) == ("yes", ["a"])


@pytest.mark.parametrize("connects", [True, False])
async def test_all_failures_are_told(connects: bool) -> None:
    """Without an answer the failures of all endpoints are known."""
    down = UpstreamUnreachable("a", "down")
    absent = BlobUnknown("r", "d")
    race, _ = make_race(Place("a", down, seconds=1.5 * WAIT, connects=connects), Place("b", absent))

    assert await race.run() is None
    assert race.winner is None
    assert {place.name: error for place, error in race.failures.items()} == {  # type: ignore[attr-defined]
        "a": down,
        "b": absent,
    }


async def test_cancelled_race_leaves_nothing_running() -> None:
    """When nobody waits any more, no endpoint is asked any more."""
    places = [Place("a", "x", seconds=60, connects=False), Place("b", "x", seconds=60)]
    race, asked = make_race(*places)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(8 * WAIT):
            await race.run()

    assert asked == ["a", "b"]
    assert [place.was_cancelled for place in places] == [True, True]


@pytest.mark.parametrize("connects", [True, False])
async def test_clear_no_is_enough_for_what_most_images_do_not_have(connects: bool) -> None:
    """Then an endpoint without a connection is not waited for; one with a connection is."""
    absent, late = BlobUnknown("r", "d"), BlobUnknown("r", "d")
    slow = Place("b", late, seconds=4 * WAIT, connects=connects)
    race, asked = make_race(Place("a", absent), slow, is_optional=True)

    assert (await race.run(), asked) == (None, ["a", "b"])
    assert slow.was_cancelled is not connects
    assert race.overtaken == ([] if connects else [slow])
    assert len(race.failures) == (2 if connects else 1)


async def test_a_silent_endpoint_is_hedged_after_its_patience() -> None:
    """The next endpoint is asked too; the first one counts as silent if the next one answers."""
    silent = Place("a", "late", seconds=30.0)
    race, asked = make_race(silent, Place("b", "yes"), is_hedged=True)
    began = asyncio.get_running_loop().time()

    assert (await race.run(), asked) == ("yes", ["a", "b"])
    assert list(race.silent) == [silent]
    assert race.overtaken == []
    assert silent.was_cancelled
    assert race.silent[silent] >= 2 * WAIT
    assert asyncio.get_running_loop().time() - began < 10


@pytest.mark.parametrize(("usual", "expected"), [(0.0, ["a", "b"]), (WAIT, ["a"])])
async def test_an_endpoint_may_take_what_it_usually_takes(
    usual: float, expected: list[str]
) -> None:
    """Its answer counts too if the next one was asked in the meantime, and has not answered."""
    usually = Performance(first_byte=4 * usual)
    first = Place("a", "yes", seconds=3 * WAIT)
    first.measured.performance = usually
    race, asked = make_race(first, Place("b", "no", seconds=30.0), is_hedged=True)

    assert (await race.run(), asked) == ("yes", expected)
    assert race.silent == {}


async def test_a_failure_of_the_hedge_does_not_end_the_race() -> None:
    """The next endpoint does not have it, and the first one still answers."""
    absent = BlobUnknown("r", "d")
    race, asked = make_race(Place("a", "yes", seconds=4 * WAIT), Place("b", absent), is_hedged=True)

    assert (await race.run(), asked) == ("yes", ["a", "b"])
    assert race.silent == {}


async def test_a_clear_no_is_enough_beside_a_silent_endpoint() -> None:
    """If most images have no such content, the one that says nothing is not waited for."""
    silent = Place("a", "yes", seconds=30.0)
    race, _ = make_race(silent, Place("b", BlobUnknown("r", "d")), is_hedged=True, is_optional=True)

    assert await race.run() is None
    assert list(race.silent) == [silent]
