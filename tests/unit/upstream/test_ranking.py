"""Laws of the order of endpoints: what they deliver decides, and learning costs no request."""

import httpx
import pytest

from registry.upstream.auth import Login
from registry.upstream.client import CONNECT, SHORT_CONNECT
from registry.upstream.endpoint import Endpoint
from registry.upstream.measurements import Measurements
from registry.upstream.ranking import BETTER, EXPLORING, OLD, USUAL, Ranking, rank
from registry.upstream.tokens import TokenCache

MIB = 1024 * 1024
NAMES = ("a", "b", "c")
BLOB = 20 * MIB


class Clock:
    """Epoch seconds, which a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({}, "abc"),  # nothing is known
        ({"a": 1.0, "b": 0.1}, "bac"),
        ({"a": 0.1, "b": 1.0}, "abc"),
        ({"b": 0.1}, "abc"),  # the first one keeps its place until it is known
        ({"a": 1.0, "c": 0.1}, "cba"),  # and so does the one between
        ({"a": 3.0, "b": 2.0, "c": 1.0}, "cba"),
        ({"a": 1.0, "b": 1.0 * BETTER + 0.01}, "abc"),  # it is better, and not clearly
        ({"a": 0.010, "b": 0.001}, "abc"),  # nobody notices these milliseconds
        ({"a": 1.0, "b": 0.95, "c": 0.77}, "cab"),  # clearly better than the first
    ],
)
def test_clearly_better_ones_come_first(seconds: dict[str, float], expected: str) -> None:
    assert rank(NAMES, NAMES, seconds.get) == list(expected)


def test_the_order_does_not_flap() -> None:
    """Two endpoints that are about as good do not change places with each measurement."""
    order = rank(NAMES, NAMES, {"a": 1.0, "b": 0.7, "c": 5.0}.get)
    assert order == ["b", "a", "c"]

    for seconds in (0.65, 0.9, 0.75, 1.1, 0.7):
        order = rank(NAMES, order, {"a": seconds, "b": 0.75, "c": 5.0}.get)
        assert order == ["b", "a", "c"]

    assert rank(NAMES, order, {"a": 0.5, "b": 0.75, "c": 5.0}.get) == ["a", "b", "c"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def endpoints(clock: Clock) -> list[Endpoint]:
    """Three endpoints; nothing connects to them."""
    client = httpx.AsyncClient()
    tokens = TokenCache(client, lambda: 0.0)
    made = []
    for name in NAMES:
        url = f"https://{name}.example"
        endpoint = Endpoint(url, client, Login(url, None, tokens), lambda: 0.0, lambda limit: None)
        endpoint.measured = Measurements(clock)
        made.append(endpoint)
    return made


@pytest.fixture
def ranking(endpoints: list[Endpoint], clock: Clock) -> Ranking:
    return Ranking("docker.io", endpoints, now=clock)


def deliver(endpoint: Endpoint, rate: float, seconds: float = 20.0, wait: float = 0.1) -> None:
    endpoint.measured.note_first_byte(wait)
    endpoint.measured.note_rate(int(rate * seconds), seconds)


def name(endpoint: Endpoint | None) -> str:
    return "" if endpoint is None else endpoint.origin[8]


def names(endpoints: list[Endpoint]) -> str:
    return "".join(map(name, endpoints))


def explore(ranking: Ranking, endpoints: list[Endpoint], blobs: int) -> str:
    """Return which endpoints these blobs explore."""
    return "".join(name(ranking.choose_explored(endpoints, BLOB)) for _ in range(blobs))


def test_small_answers_and_blobs_have_orders_of_their_own(
    ranking: Ranking, endpoints: list[Endpoint]
) -> None:
    first, second, _ = endpoints
    deliver(first, MIB, wait=0.05)
    deliver(second, 10 * MIB, wait=1.0)

    assert names(ranking.order(0)) == "abc"
    assert names(ranking.order(BLOB)) == "bac"


def test_small_blobs_are_asked_for_like_tags(ranking: Ranking, endpoints: list[Endpoint]) -> None:
    """The first byte decides there, also if no rate is known."""
    for endpoint, wait in zip(endpoints, (1.0, 0.5, 0.1), strict=True):
        endpoint.measured.note_first_byte(wait)

    assert names(ranking.order(4096)) == names(ranking.order(0)) == "cba"
    assert names(ranking.order(BLOB)) == "abc"


def test_only_the_last_one_has_a_long_time_to_connect(
    ranking: Ranking, endpoints: list[Endpoint]
) -> None:
    assert [each.connect for each in endpoints] == [SHORT_CONNECT, SHORT_CONNECT, CONNECT]

    for endpoint, rate in zip(endpoints, (1, 5, 10), strict=True):
        deliver(endpoint, rate * MIB)
    ranking.order(BLOB)

    assert [each.connect for each in endpoints] == [CONNECT, SHORT_CONNECT, SHORT_CONNECT]


def test_written_order_stays_whatever_is_measured(endpoints: list[Endpoint], clock: Clock) -> None:
    ranking = Ranking("docker.io", endpoints, is_measured=False, now=clock)
    deliver(endpoints[0], MIB)
    deliver(endpoints[2], 100 * MIB)

    assert names(ranking.order(BLOB)) == names(ranking.order(0)) == "abc"
    assert not explore(ranking, endpoints, 5 * EXPLORING)


def test_one_blob_of_eight_explores(ranking: Ranking, endpoints: list[Endpoint]) -> None:
    """Each endpoint that is not known gets its turn, and then there is nothing to learn."""
    deliver(endpoints[0], MIB)

    assert explore(ranking, endpoints, EXPLORING - 1) == ""
    assert explore(ranking, endpoints, 1) == "b"
    deliver(endpoints[1], MIB)
    assert explore(ranking, endpoints, EXPLORING) == "c"
    assert explore(ranking, endpoints, 5 * EXPLORING) == ""


def test_an_old_measurement_is_made_again(
    ranking: Ranking, endpoints: list[Endpoint], clock: Clock
) -> None:
    """The oldest first; small answers, which are asked for all the time, do not count."""
    for endpoint in endpoints:
        deliver(endpoint, MIB)
        clock.now += 10.0
    clock.now += OLD
    deliver(endpoints[0], MIB)
    endpoints[1].measured.note_first_byte(0.1)

    assert explore(ranking, endpoints, EXPLORING) == "b"
    assert explore(ranking, endpoints, EXPLORING) == "c"
    assert explore(ranking, endpoints, EXPLORING) == ""  # although both have delivered nothing
    clock.now += OLD + 1.0
    assert explore(ranking, endpoints, EXPLORING) == "b"


def test_a_measurement_in_the_future_is_made_again(
    ranking: Ranking, endpoints: list[Endpoint], clock: Clock
) -> None:
    """After the clock was set back, nobody knows how old the measurements are."""
    clock.now += 10 * OLD
    for endpoint in endpoints:
        deliver(endpoint, MIB)
    clock.now -= 5 * OLD
    deliver(endpoints[0], MIB)

    assert explore(ranking, endpoints, EXPLORING) == "b"
    assert explore(ranking, endpoints, EXPLORING) == "c"
    assert explore(ranking, endpoints, EXPLORING) == ""


def test_only_endpoints_that_can_be_asked_are_explored(
    ranking: Ranking, endpoints: list[Endpoint]
) -> None:
    assert explore(ranking, [endpoints[0], endpoints[2]], EXPLORING) == "c"
    assert explore(ranking, [], 5 * EXPLORING) == ""


def test_small_blobs_explore_nothing(ranking: Ranking, endpoints: list[Endpoint]) -> None:
    """They say nothing about the rate."""
    assert not any(ranking.choose_explored(endpoints, 4096) for _ in range(5 * EXPLORING))


def test_one_endpoint_has_nothing_to_learn(endpoints: list[Endpoint], clock: Clock) -> None:
    ranking = Ranking("docker.io", endpoints[:1], now=clock)

    assert explore(ranking, endpoints, 5 * EXPLORING) == ""
    assert endpoints[0].connect == CONNECT


def test_the_others_are_explored_at_once_if_the_best_becomes_slow(
    ranking: Ranking, endpoints: list[Endpoint], clock: Clock
) -> None:
    """What is known of the others may be wrong now too; each is asked once."""
    for endpoint, rate in zip(endpoints, (20, 1, 2), strict=True):
        deliver(endpoint, rate * MIB)
    assert explore(ranking, endpoints, 1) == ""

    clock.now += 5.0
    deliver(endpoints[0], 2 * MIB)

    assert explore(ranking, endpoints, 1) == "c"
    deliver(endpoints[2], 2 * MIB)
    assert explore(ranking, endpoints, 3) == "b"


def test_a_best_endpoint_that_becomes_slow_is_replaced_within_ten_seconds(
    ranking: Ranking, endpoints: list[Endpoint], clock: Clock
) -> None:
    """The second one was slow when it was measured, and has become fast since then."""
    first, second, third = endpoints
    deliver(first, 20 * MIB)
    deliver(second, MIB)
    deliver(third, MIB / 10)
    explore(ranking, endpoints, 1)

    slow = 0.0  # seconds
    while names(ranking.order(BLOB))[0] == "a":
        asked = ranking.choose_explored(endpoints, BLOB) or first
        clock.now += 1.0
        deliver(asked, {first: MIB, second: 20 * MIB, third: MIB / 10}[asked], 1.0)
        slow += asked is not second
    assert names(ranking.order(BLOB))[0] == "b"
    assert slow <= 10.0


def test_usual_noise_explores_nothing(ranking: Ranking, endpoints: list[Endpoint]) -> None:
    first, second, third = endpoints
    for endpoint in (second, third):
        deliver(endpoint, 100 * MIB)
    for rate in (400, 900, 300, 500):
        deliver(first, rate * MIB, USUAL / (rate * MIB))
        assert explore(ranking, endpoints, 1) == ""
