"""Laws of passwords: they are checked once, a few at a time, and an unknown user costs the same."""

import asyncio
import os
import threading

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
    """Many requests of one client at once cost one check, also more than may wait."""
    calls: list[str] = []

    def check(password: str, _: str) -> bool:
        calls.append(password)
        return True

    monkeypatch.setattr(passwords, "_check", check)
    checks = PasswordChecks()
    many = 2 * passwords.MOST_WAITING

    await asyncio.gather(*(checks.is_right("alice", "x", STORED) for _ in range(many)))

    assert calls == ["x"]


async def test_a_client_that_leaves_ends_no_check() -> None:
    """Others wait for its result, and it is remembered."""
    checks = PasswordChecks()
    leaving, staying = (
        asyncio.create_task(checks.is_right("alice", "correct horse", STORED)) for _ in range(2)
    )
    await asyncio.sleep(0)

    leaving.cancel()

    assert await staying
    assert checks.recall("alice", "correct horse", STORED)


@pytest.fixture
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "DELAY", 0.0)


@pytest.mark.usefixtures("_no_delay")
async def test_too_many_wait() -> None:
    """A flood of logins from many addresses is refused before it fills the memory."""
    refusals: list[None] = []
    checks = PasswordChecks(note_refused=lambda: refusals.append(None))
    stored = hash_password("correct horse", rounds=8)
    room = passwords.AT_ONCE + passwords.MOST_WAITING
    many = room + 20

    results = await asyncio.gather(
        *(checks.is_right("alice", f"guess {each}", stored, str(each)) for each in range(many)),
        return_exceptions=True,
    )

    refused = [each for each in results if isinstance(each, TooManyLogins)]
    assert len(refused) == len(refusals) == many - room
    assert results.count(False) == room


@pytest.mark.usefixtures("_no_delay")
async def test_one_address_does_not_take_all_checks() -> None:
    """Its checks are spent before they run, and others come before them."""
    checks = PasswordChecks()
    stored = hash_password("correct horse", rounds=8)
    guesses = [
        asyncio.create_task(checks.is_right("alice", f"guess {each}", stored, "192.0.2.1"))
        for each in range(60)
    ]
    await asyncio.sleep(0)

    assert await checks.is_right("alice", "correct horse", stored, "192.0.2.2")

    assert sum(each.done() and not each.exception() for each in guesses) < BURST
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert results.count(False) == BURST


async def test_who_is_refused_is_told_so_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it guesses less often, and the worker has less to do."""
    monkeypatch.setattr(passwords, "DELAY", 0.05)
    clock = asyncio.get_running_loop().time
    began = clock()

    with pytest.raises(TooManyLogins):
        await PasswordChecks(LoginLimit(burst=0.0)).is_right("alice", "guess", STORED)

    assert clock() - began >= 0.045


async def test_checks_have_a_lower_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """While pulls use all cores, they get little of them; this process keeps its own priority."""
    seen: list[int] = []

    def check(_: str, __: str) -> bool:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return True

    monkeypatch.setattr(passwords, "_check", check)
    before = os.getpriority(os.PRIO_PROCESS, 0)

    await PasswordChecks().is_right("alice", "x", STORED)

    assert seen == [min(before + passwords.NICE, 19)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


@pytest.mark.usefixtures("_no_delay")
async def test_a_known_password_is_not_limited() -> None:
    """Whoever shares an address with somebody who guesses goes on to pull."""
    limit = LoginLimit(find_network, lambda: 0.0)
    checks = PasswordChecks(limit)
    assert await checks.is_right("alice", "correct horse", STORED, "192.0.2.1")
    for _ in range(int(BURST)):
        limit.take("192.0.2.1")

    assert await checks.is_right("alice", "correct horse", STORED, "192.0.2.1")
    with pytest.raises(TooManyLogins):
        await checks.is_right("alice", "a guess", STORED, "192.0.2.1")
