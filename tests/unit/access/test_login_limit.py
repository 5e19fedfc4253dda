"""Laws of the limit of logins: an address that is often wrong has to wait, and no other."""

from registry.access.login_limit import BURST, RATE, REMEMBERED, LoginLimit
from registry.settings.client_networks import find_network


def test_an_address_that_is_often_wrong_has_to_wait() -> None:
    """It may try again when some time has passed; others may all the time."""
    now = [0.0]
    limit = LoginLimit(find_network, lambda: now[0])
    for _ in range(int(BURST)):
        assert limit.allows("192.0.2.1")
        limit.note_failure("192.0.2.1")

    assert not limit.allows("192.0.2.1")
    assert limit.allows("192.0.2.2")
    now[0] += 1 / RATE
    assert limit.allows("192.0.2.1")
    limit.note_failure("192.0.2.1")
    assert not limit.allows("192.0.2.1")


def test_a_network_of_ipv6_is_one_address() -> None:
    """A client with a /64 has more addresses than anybody can count."""
    limit = LoginLimit(find_network, lambda: 0.0)

    for number in range(int(BURST)):
        limit.note_failure(f"2001:db8::{number:x}")

    assert not limit.allows("2001:db8::ffff")
    assert limit.allows("2001:db8:0:1::1")


def test_what_is_remembered_is_bounded() -> None:
    """A flood of addresses does not fill the memory."""
    limit = LoginLimit(find_network, lambda: 0.0)

    for number in range(REMEMBERED + 10):
        limit.note_failure(str(number))

    assert len(limit._spent) == REMEMBERED
