"""Laws of the limit of logins: an address that is often wrong has to wait, and no other."""

from structlog.testing import capture_logs

from registry.access.login_limit import BURST, RATE, REMEMBERED, LoginLimit
from registry.settings.client_networks import find_network

TRIES = int(BURST)


def test_an_address_that_is_often_wrong_has_to_wait() -> None:
    """It may try again when some time has passed; others may all the time. The log says so once."""
    now = [0.0]
    limit = LoginLimit(clock=lambda: now[0])
    assert [limit.take("192.0.2.1") for _ in range(TRIES)] == [*range(TRIES)]

    with capture_logs() as lines:
        assert limit.take("192.0.2.1") is None
        assert limit.take("192.0.2.1") is None
    assert limit.take("192.0.2.2") == 0
    now[0] += 1 / RATE
    assert limit.take("192.0.2.1") == TRIES - 1
    assert limit.take("192.0.2.1") is None
    assert [(each["event"], each["client"]) for each in lines] == [
        ("client is wrong about passwords too often", "192.0.2.1")
    ]


def test_who_is_right_spends_nothing() -> None:
    """A cluster of many nodes logs in at once, each with its own right password."""
    limit = LoginLimit(clock=lambda: 0.0)

    for _ in range(3 * TRIES):
        assert limit.take("192.0.2.1") == 0
        limit.give_back("192.0.2.1")


def test_a_network_of_ipv6_is_one_address() -> None:
    """Whoever has one address has 2**64 of them."""
    limit = LoginLimit(clock=lambda: 0.0, find_network=find_network)

    taken = [limit.take(f"2001:db8::{number:x}") for number in range(2 * TRIES)]

    assert taken == [*range(TRIES), *[None] * TRIES]
    assert limit.take("2001:db8:0:1::1") == 0


def test_the_log_has_what_is_kept_of_an_address() -> None:
    """As in all other lines."""
    limit = LoginLimit(clock=lambda: 0.0, show_address=lambda _: "192.0.2.0/24")

    with capture_logs() as lines:
        while limit.take("192.0.2.1") is not None:
            pass

    assert [each["client"] for each in lines] == ["192.0.2.0/24"]


def test_what_is_remembered_is_bounded() -> None:
    """A flood of addresses does not fill the memory."""
    limit = LoginLimit(clock=lambda: 0.0)

    for number in range(REMEMBERED + 10):
        limit.take(str(number))

    assert len(limit) == REMEMBERED
