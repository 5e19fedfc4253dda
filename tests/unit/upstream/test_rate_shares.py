"""Laws of the shares of processes in the rate of a link."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.upstream.rate_shares import (
    BESIDE,
    GROWTH,
    KEPT,
    LEAST,
    Demand,
    ProcessDemand,
    Shares,
    share_rate,
)

RATE = 20.0 * 1024 * 1024
HELD = Demand(1, 1e6, is_held=True)
NOTHING = Demand()

_DEMANDS = st.builds(Demand, st.integers(0, 9), st.floats(0, 1e9), st.booleans())
_PROCESSES = st.lists(st.builds(ProcessDemand, _DEMANDS, _DEMANDS), min_size=1, max_size=6)


def share(*demands: ProcessDemand, rate: float = RATE) -> list[Shares]:
    return share_rate(rate, demands)


def test_one_download_gets_all() -> None:
    """A download that is alone may use the whole rate, also if it is for nobody."""
    assert share(ProcessDemand(HELD, NOTHING))[0].clients == RATE
    assert share(ProcessDemand(NOTHING, HELD))[0].warming == RATE


def test_downloads_share_equally() -> None:
    """A process with three downloads gets three times as much as one with one."""
    first, second = share(ProcessDemand(clients=Demand(3, 0, is_held=True)), ProcessDemand(HELD))

    assert first.clients == 3 * second.clients
    assert math.isclose(first.clients + second.clients, RATE)


def test_what_one_does_not_want_is_for_the_others() -> None:
    """A download from a slow server leaves the rest of its share."""
    slow = Demand(1, 1e6)
    first, second = share(ProcessDemand(slow), ProcessDemand(HELD))

    assert slow.wanted <= first.clients
    assert second.clients >= (RATE - slow.wanted) / 2


def test_clients_come_first() -> None:
    """Warming gets a twentieth beside clients that want all, and otherwise what they leave."""
    busy, warming = share(ProcessDemand(HELD), ProcessDemand(NOTHING, HELD))
    slow, more = share(ProcessDemand(Demand(1, 1e6)), ProcessDemand(NOTHING, HELD))

    assert math.isclose(warming.warming, KEPT * RATE)
    assert math.isclose(busy.clients, (1 - KEPT) * RATE)
    assert math.isclose(more.warming, RATE - slow.clients)
    assert slow.clients == 1e6 * GROWTH + LEAST


def test_without_a_limit_warming_stays_behind_clients() -> None:
    """Nobody knows the rate of the link: warming gets a twentieth of what clients get."""
    clients, warming = ProcessDemand(Demand(4, 1e7)), ProcessDemand(NOTHING, HELD)

    assert share(clients, warming, rate=math.inf)[1].warming == BESIDE * 1e7
    assert share(ProcessDemand(Demand(1, 0.0)), warming, rate=math.inf)[1].warming == LEAST
    assert share(warming, rate=math.inf)[0].warming == math.inf
    assert share(clients, warming, rate=math.inf)[0].clients == math.inf


@given(_PROCESSES, st.floats(1024, 1e9))
def test_shares_add_up_to_no_more_than_the_rate(demands: list[ProcessDemand], rate: float) -> None:
    """However many processes want whatever, together they may use at most the rate."""
    shares = share(*demands, rate=rate)
    used = sum(
        (each.clients if wants.clients.downloads else 0)
        + (each.warming if wants.warming.downloads else 0)
        for each, wants in zip(shares, demands, strict=True)
    )

    if any(d.clients.downloads for d in demands) or any(d.warming.downloads for d in demands):
        assert used <= rate * (1 + 1e-9)


@pytest.mark.parametrize("others", [NOTHING, HELD])
def test_a_process_without_downloads_may_begin_one(others: Demand) -> None:
    """What an idle process may use is never 0: its next download begins before the next shares."""
    for busy in (ProcessDemand(others), ProcessDemand(NOTHING, others)):
        idle = share(ProcessDemand(), busy)[0]
        assert idle == Shares(RATE, RATE)
    both = share(ProcessDemand(), ProcessDemand(others, others))[0]
    assert min(both.clients, both.warming) >= KEPT * RATE * (1 - 1e-9)


@given(_PROCESSES, st.floats(1024, 1e9) | st.just(math.inf))
def test_nobody_waits_for_ever(demands: list[ProcessDemand], rate: float) -> None:
    """Whoever wants something gets something, and warming as a whole its least part."""
    shares = share(*demands, rate=rate)

    for each, wants in zip(shares, demands, strict=True):
        assert not wants.clients.downloads or each.clients > 0
        assert not wants.warming.downloads or each.warming > 0
    warming = sum(
        each.warming for each, wants in zip(shares, demands, strict=True) if wants.warming.downloads
    )
    if any(wants.warming.downloads for wants in demands):
        assert warming >= min(KEPT * rate, LEAST) * (1 - 1e-9)
