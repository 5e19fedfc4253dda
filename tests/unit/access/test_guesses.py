"""Laws of those who guess: each of their answers comes later, and nobody else waits."""

import asyncio
from pathlib import Path

import pytest

from registry.access.accounts import Accounts, make_token
from registry.access.accounts_file import LiveAccounts
from registry.access.control import AccessControl
from registry.access.credentials import Bearer
from registry.access.login_limit import LoginLimit
from registry.access.networks import Networks
from registry.access.passwords import PasswordChecks
from registry.access.principals import Principal
from registry.access.signed_tokens import TokenSigner
from registry.access.surroundings import Surroundings
from registry.errors import CredentialsWrong
from registry.settings.client_networks import find_network
from tests.unit.access.test_control import write_accounts

TRIES = 3
TOKEN, SECRET = make_token("ci", [], 1.0)
ATTACKER, NEIGHBOUR, OTHER = "2001:db8::1", "2001:db8::2", "192.0.2.2"


@pytest.fixture
def control(tmp_path: Path) -> AccessControl:
    """The token ci; each address may be wrong three times, and ask for three tokens."""
    path = tmp_path / "accounts.json"
    write_accounts(path, Accounts().add_token(TOKEN))
    limits = [LoginLimit(find_network, burst=TRIES) for _ in range(3)]
    return AccessControl(
        LiveAccounts(path),
        TokenSigner(b"k" * 32),
        Networks(),
        PasswordChecks(limits[0]),
        guesses=limits[1],
        tokens=limits[2],
    )


async def test_who_guesses_waits_for_the_answer(control: AccessControl) -> None:
    """After some wrong tokens of an address; others do not wait, and neither does who is right."""

    async def ask(text: str, address: str) -> asyncio.Task[Principal]:
        asking = asyncio.create_task(control.identify(Bearer(text), "", Surroundings(address)))
        await asyncio.sleep(0)
        return asking

    for _ in range(TRIES):
        with pytest.raises(CredentialsWrong):
            (await ask("guess", ATTACKER)).result()
    waiting = await ask("guess", NEIGHBOUR)
    other = await ask("guess", OTHER)
    right = await ask(SECRET, ATTACKER)

    assert not waiting.done()
    assert isinstance(other.exception(), CredentialsWrong)
    assert right.result().name == "ci"
    waiting.cancel()


async def test_a_new_token_counts_at_once(control: AccessControl, tmp_path: Path) -> None:
    """Although the file was looked at a moment ago: people try what they have just added."""
    new, secret = make_token("new", [], 1.0)
    with pytest.raises(CredentialsWrong):
        await control.identify(Bearer(secret), "", Surroundings(OTHER))

    write_accounts(tmp_path / "accounts.json", Accounts().add_token(TOKEN).add_token(new))

    assert (await control.identify(Bearer(secret), "", Surroundings(OTHER))).name == "new"


async def test_who_floods_the_tokens_waits(control: AccessControl) -> None:
    """An address that has asked for very many; others do not wait."""
    for _ in range(TRIES):
        await control.wait_for_token(ATTACKER)

    waiting = asyncio.create_task(control.wait_for_token(NEIGHBOUR))
    other = asyncio.create_task(control.wait_for_token(OTHER))
    await asyncio.sleep(0)

    assert (waiting.done(), other.done()) == (False, True)
    waiting.cancel()
