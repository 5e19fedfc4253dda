"""Laws of passwords: they are checked once, a few at a time, and an unknown user costs the same."""

import asyncio

import pytest

from registry.access import passwords
from registry.access.login_limit import BURST, LoginLimit
from registry.access.passwords import PasswordChecks, hash_password
from registry.errors import InvalidInput, TooManyLogins
from registry.settings.client_networks import find_network

STORED = hash_password("correct horse", rounds=4)


@pytest.mark.parametrize("text", ["", "short", "x" * 73, "é" * 37, "tab\tulator", "null\0null"])
def test_passwords_that_are_refused(text: str) -> None:
    """bcrypt reads 72 bytes, and the rest of a longer one would not count."""
    with pytest.raises(InvalidInput):
        hash_password(text, rounds=4)


def test_a_hash_is_another_each_time() -> None:
    """Two users with one password are not seen to have it."""
    assert hash_password("correct horse", rounds=4) != STORED


@pytest.mark.parametrize(
    ("password", "stored", "expected"),
    [
        ("correct horse", STORED, True),
        ("correct horsf", STORED, False),
        ("", STORED, False),
        ("correct horse" + "x" * 72, STORED, False),
        ("correct horse\0", STORED, False),
        ("correct horse", "", False),
        ("", "", False),
        ("correct horse", "no hash", False),
    ],
    ids=range(8),  # a hash differs in each process that collects the tests
)
async def test_checks(password: str, stored: str, expected: bool) -> None:
    """A user without a password has none that is right."""
    checks = PasswordChecks(LoginLimit(find_network))

    for _ in range(2):  # the second result is remembered
        assert await checks.is_right("alice", password, stored) is expected


async def test_an_unknown_user_takes_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """bcrypt runs for nobody too, with as many steps as for a new user."""
    seen: list[bytes] = []

    def note(password: bytes, stored: bytes) -> bool:
        seen.append(stored)
        return False

    monkeypatch.setattr(passwords.bcrypt, "checkpw", note)

    await PasswordChecks(LoginLimit(find_network)).is_right("nobody", "correct horse", "")

    assert [each.split(b"$")[2] for each in seen] == [str(passwords.ROUNDS).encode()]


async def test_a_result_ends_with_the_hash() -> None:
    """After a changed password, the former one is checked again."""
    checks = PasswordChecks(LoginLimit(find_network))
    changed = hash_password("another horse", rounds=4)

    assert await checks.is_right("alice", "correct horse", STORED)
    assert not await checks.is_right("alice", "correct horse", changed)
    assert checks.recall("alice", "correct horse", STORED)
    assert checks.recall("bob", "correct horse", STORED) is None


async def test_the_same_password_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many requests of one client at once cost one check."""
    calls: list[str] = []

    def check(password: str, _: str) -> bool:
        calls.append(password)
        return True

    monkeypatch.setattr(passwords, "_check", check)
    checks = PasswordChecks(LoginLimit(find_network))

    await asyncio.gather(*(checks.is_right("alice", "x", STORED) for _ in range(50)))

    assert len(calls) <= passwords.AT_ONCE


async def test_too_many_wait() -> None:
    """A flood of logins is refused before it fills the memory."""
    checks = PasswordChecks(LoginLimit(find_network))
    stored = hash_password("correct horse", rounds=8)
    many = passwords.AT_ONCE + passwords.MOST_WAITING + 20

    results = await asyncio.gather(
        *(checks.is_right("alice", f"guess {number}", stored) for number in range(many)),
        return_exceptions=True,
    )

    refused = [each for each in results if isinstance(each, TooManyLogins)]
    assert len(refused) == many - passwords.MOST_WAITING
    assert results.count(False) == passwords.MOST_WAITING


async def test_a_known_password_is_not_limited() -> None:
    """Whoever shares an address with somebody who guesses goes on to pull."""
    limit = LoginLimit(find_network, lambda: 0.0)
    checks = PasswordChecks(limit)
    assert await checks.is_right("alice", "correct horse", STORED, "192.0.2.1")
    for _ in range(int(BURST)):
        limit.note_failure("192.0.2.1")

    assert await checks.is_right("alice", "correct horse", STORED, "192.0.2.1")
    with pytest.raises(TooManyLogins):
        await checks.is_right("alice", "a guess", STORED, "192.0.2.1")
