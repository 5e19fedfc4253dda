"""Laws of identification: what counts as a proof, and when it ends."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from registry.access.accounts import Accounts, User, format_accounts, make_token
from registry.access.accounts_file import LiveAccounts
from registry.access.control import SIGNED_LIFE, AccessControl
from registry.access.credentials import Bearer, Login
from registry.access.login_limit import LoginLimit
from registry.access.networks import Networks
from registry.access.passwords import PasswordChecks, hash_password
from registry.access.principals import ANONYMOUS, Principal, Proof
from registry.access.signed_tokens import TokenSigner
from registry.access.surroundings import Surroundings
from registry.errors import CredentialsWrong
from registry.settings.client_networks import find_network
from registry.store.file_watch import POLL

HERE = Surroundings("192.0.2.1")
ALICE = User("alice", hash_password("correct horse", rounds=4), frozenset({"dev"}), 1.0)
LOGIN = Login("alice", "correct horse")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def write_accounts(path: Path, accounts: Accounts) -> None:
    """Replace the file of the accounts."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(format_accounts(accounts)))
    new.replace(path)


class Site:
    """Accounts in a file, and who reads them."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.path = folder / "accounts.json"
        self.token, self.secret = make_token("ci", ["build"], 1.0, self.clock.now + 1000)
        self.write(Accounts().add_user(ALICE).add_token(self.token))
        self.control = AccessControl(
            LiveAccounts(self.path, self.clock),
            TokenSigner(b"k" * 32),
            Networks({"lan": ["10.0.0.0/8"]}),
            PasswordChecks(LoginLimit(find_network)),
            self.clock,
        )

    def write(self, accounts: Accounts) -> None:
        write_accounts(self.path, accounts)

    def change(self, accounts: Accounts) -> None:
        """Change the file, and let the time go by in which nobody looks at it."""
        self.write(accounts)
        self.clock.now += POLL


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with the user alice and the token ci."""
    return Site(tmp_path)


async def test_proofs(site: Site) -> None:
    """A password; a token as password, as bearer, or in the path; a certificate of a user."""
    alice = Principal("alice", frozenset({"dev"}), Proof.PASSWORD)
    machine = Principal("ci", frozenset({"build"}), Proof.TOKEN, site.token.expires)
    identify = site.control.identify

    assert await identify(LOGIN, "", HERE) == alice
    assert await identify(Login("anything", site.secret), "", HERE) == machine
    assert await identify(Bearer(site.secret), "", HERE) == machine
    assert await identify(None, site.secret, HERE) == machine
    certified = await identify(None, "", Surroundings("192.0.2.1", "alice"))
    assert certified == Principal("alice", frozenset({"dev"}), Proof.CERTIFICATE)
    assert await identify(None, "", HERE) == ANONYMOUS
    assert await identify(None, "", Surroundings("192.0.2.1", "bob")) == ANONYMOUS


@pytest.mark.parametrize(
    ("credentials", "path_token"),
    [
        (Login("alice", "wrong password"), ""),
        (Login("bob", "correct horse"), ""),
        (Login("alice", ""), ""),
        (Bearer("nonsense"), ""),
        (None, "ent_aaaaaaaa_" + "a" * 32),
        (None, "-"),
    ],
)
async def test_wrong_proofs(
    site: Site, credentials: Login | Bearer | None, path_token: str
) -> None:
    """A wrong proof is not the same as none: nobody becomes anonymous by a typing error."""
    with pytest.raises(CredentialsWrong):
        await site.control.identify(credentials, path_token, Surroundings("192.0.2.1", "alice"))


async def test_an_address_adds_groups(site: Site) -> None:
    """Also to somebody who has proved nothing."""
    inside = Surroundings("10.1.1.1")

    assert (await site.control.identify(None, "", inside)).groups == {"lan"}
    assert (await site.control.identify(LOGIN, "", inside)).groups == {"dev", "lan"}


async def test_a_hidden_client_is_in_no_group(site: Site) -> None:
    """The address is that of a proxy, and what the proxy itself may do is nobody else's."""
    hidden = Surroundings("10.1.1.1", is_hidden=True)
    stamp = site.control.stamp(ANONYMOUS, Surroundings("10.1.1.1"))

    assert (await site.control.identify(None, "", hidden)).groups == frozenset()
    assert not site.control.is_valid(stamp, hidden)


async def test_a_certificate_ends_on_an_open_connection(site: Site) -> None:
    """It was valid at the handshake, and later on it is nobody's: also for repeated answers."""
    control, ends = site.control, site.clock.now + 60
    here, renewed = (Surroundings("a", "alice", ends=each) for each in (ends, ends + 60))
    stamp = control.stamp(await control.identify(None, "", here), here)
    later = control.stamp(await control.identify(None, "", renewed), renewed)
    site.clock.now = ends

    assert await control.identify(None, "", here) == ANONYMOUS
    assert not control.is_valid(stamp, here)
    assert not control.is_valid(later, here)  # the same bytes, and the same name
    assert control.is_valid(later, renewed)


async def test_signed_tokens(site: Site) -> None:
    """They stand for the account, for the repositories for which they were made, for a while."""
    alice = await site.control.identify(LOGIN, "", HERE)
    text, seconds = site.control.sign(alice, {"docker.io/a"})

    found = await site.control.identify(Bearer(text), "", HERE)

    assert seconds == SIGNED_LIFE
    assert (found.name, found.groups) == ("alice", {"dev"})
    assert found.repositories == {"docker.io/a"}
    site.clock.now += SIGNED_LIFE
    with pytest.raises(CredentialsWrong):
        await site.control.identify(Bearer(text), "", HERE)


async def test_a_signed_token_does_not_outlive_its_token(site: Site) -> None:
    """The shorter of both ends counts."""
    site.clock.now = site.token.expires - 10
    machine = await site.control.identify(Bearer(site.secret), "", HERE)

    text, seconds = site.control.sign(machine, ())

    assert seconds == 10
    assert (await site.control.identify(Bearer(text), "", HERE)).expires == site.token.expires


async def test_a_signed_token_for_nobody(site: Site) -> None:
    """It proves nothing, but that it was asked for."""
    text, _ = site.control.sign(ANONYMOUS, {"docker.io/a"})

    found = await site.control.identify(Bearer(text), "", HERE)

    assert found.is_anonymous
    assert found.repositories == {"docker.io/a"}


async def test_revoked_accounts_end_their_signed_tokens(site: Site) -> None:
    """Also if another account of the same name was made since."""
    alice = await site.control.identify(LOGIN, "", HERE)
    machine = await site.control.identify(None, site.secret, HERE)
    texts = [site.control.sign(each, ())[0] for each in (alice, machine)]
    another, _ = make_token("ci", [], 2.0)
    anew = User("alice", ALICE.password, ALICE.groups, 2.0)

    site.change(Accounts().add_user(anew).add_token(another))

    for text in texts:
        with pytest.raises(CredentialsWrong):
            await site.control.identify(Bearer(text), "", HERE)


async def test_groups_are_those_of_now(site: Site) -> None:
    """A signed token does not keep the groups of the time when it was made."""
    alice = await site.control.identify(LOGIN, "", HERE)
    text, _ = site.control.sign(alice, ())
    moved = User("alice", ALICE.password, frozenset({"ops"}), ALICE.made)

    site.change(Accounts().add_user(moved))

    assert (await site.control.identify(Bearer(text), "", HERE)).groups == {"ops"}


async def test_a_change_counts_within_the_poll(site: Site) -> None:
    """What has ended is known after `POLL` seconds, without a restart."""
    assert await site.control.identify(None, site.secret, HERE)

    site.change(Accounts().add_user(ALICE))

    with pytest.raises(CredentialsWrong):
        await site.control.identify(None, site.secret, HERE)


async def test_a_stamp_is_valid_while_nothing_has_changed(site: Site) -> None:
    """A repeated answer needs the same accounts, the same surroundings, and a proof of today."""
    control = site.control
    machine = await control.identify(None, site.secret, HERE)
    stamp = control.stamp(machine, HERE)

    assert control.is_valid(stamp, HERE)
    assert control.is_valid(stamp, Surroundings("192.0.2.77"))  # in the same groups
    assert not control.is_valid(stamp, Surroundings("10.0.0.1"))
    assert not control.is_valid(stamp, Surroundings("192.0.2.1", "alice"))
    site.change(Accounts().add_token(site.token))
    assert not control.is_valid(stamp, HERE)


async def test_a_stamp_ends_with_the_proof(site: Site) -> None:
    """An answer for a token that has expired is not repeated."""
    machine = await site.control.identify(None, site.secret, HERE)
    stamp = site.control.stamp(machine, HERE)

    site.clock.now = site.token.expires

    assert not site.control.is_valid(stamp, HERE)


async def test_damaged_accounts_change_nothing(site: Site) -> None:
    """A typing error in the file does not lock everybody out of a running server."""
    site.path.write_text("{")
    site.clock.now += POLL

    assert (await site.control.identify(LOGIN, "", HERE)).name == "alice"


async def test_deleted_accounts_are_none(site: Site) -> None:
    """Who deletes the file wants nobody in."""
    site.path.unlink()
    site.clock.now += POLL

    with pytest.raises(CredentialsWrong):
        await site.control.identify(LOGIN, "", HERE)


async def test_the_file_is_not_looked_at_for_each_request(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeated answers ask thousands of times a second."""
    looks: list[str] = []
    stat = Path.stat

    def note(self: Path, **options: bool) -> os.stat_result:
        looks.append(self.name)
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", note)

    for _ in range(1000):
        site.control.accounts.refresh()

    assert looks == []


async def test_an_answer_goes_on_while_its_account_is_the_same(site: Site) -> None:
    """Also after the end of its proof, and after a change of another account."""
    machine = await site.control.identify(None, site.secret, HERE)
    text, _ = site.control.sign(machine, {"docker.io/a"})
    signed = await site.control.identify(Bearer(text), "", HERE)
    following = [site.control.follow(each) for each in (machine, signed, ANONYMOUS)]

    site.clock.now += 2 * SIGNED_LIFE
    site.change(Accounts().add_token(site.token))
    assert [may_go_on() for may_go_on in following] == [True, True, True]

    site.change(Accounts().add_user(ALICE))
    assert [may_go_on() for may_go_on in following] == [False, False, True]
    site.change(Accounts().add_token(site.token))
    assert [may_go_on() for may_go_on in following] == [False, False, True]


async def test_another_password_ends_the_answers_of_the_former_one(site: Site) -> None:
    """Whoever changes a password may do so because somebody else knows it."""
    may_go_on = site.control.follow(await site.control.identify(LOGIN, "", HERE))
    changed = replace(ALICE, password=hash_password("another horse", rounds=4))

    site.change(Accounts().add_user(changed))

    assert not may_go_on()
