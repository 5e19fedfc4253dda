"""Laws of the limit of logins: an address that is often wrong has to wait, and no other."""

from registry.access.login_limit import BURST, RATE, REMEMBERED, LoginLimit


def test_an_address_that_is_often_wrong_has_to_wait() -> None:
    """It may try again when some time has passed; others may all the time."""
    now = [0.0]
    limit = LoginLimit(lambda: now[0])
    for _ in range(int(BURST)):
        assert limit.allows("192.0.2.1")
        limit.note_failure("192.0.2.1")

    assert not limit.allows("192.0.2.1")
    assert limit.allows("192.0.2.2")
    now[0] += 1 / RATE
    assert limit.allows("192.0.2.1")
    limit.note_failure("192.0.2.1")
    assert not limit.allows("192.0.2.1")


def test_what_is_remembered_is_bounded() -> None:
    """A flood of addresses does not fill the memory."""
    limit = LoginLimit(lambda: 0.0)

    for number in range(REMEMBERED + 10):
        limit.note_failure(str(number))

    assert len(limit._spent) == REMEMBERED
