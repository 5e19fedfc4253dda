"""Laws of accounts: what is stored is of no use to whoever reads it, and names are unique."""

import json
import math

import pytest

from registry.access.accounts import (
    Accounts,
    User,
    format_accounts,
    make_token,
    parse_accounts,
)
from registry.errors import AccountExists, AccountUnknown

NOW = 1_800_000_000.0
ALICE = User("alice", "$2b$...", frozenset({"dev"}), NOW)


def test_accounts_survive_being_written() -> None:
    """Reading what was written gives the same accounts."""
    token, _ = make_token("ci", ["build"], NOW, NOW + 60)
    endless, _ = make_token("cd", [], NOW)
    accounts = Accounts().add_user(ALICE).add_token(token).add_token(endless)

    assert parse_accounts(json.loads(json.dumps(format_accounts(accounts)))) == accounts


def test_the_secret_of_a_token_is_not_stored() -> None:
    """Whoever reads the file cannot make the token from it."""
    token, text = make_token("ci", [], NOW)
    secret = text.rpartition("_")[2]

    written = json.dumps(format_accounts(Accounts().add_token(token)))

    assert len(secret) == 32
    assert secret not in written


def test_a_token_is_found_by_its_whole_text_until_it_ends() -> None:
    """Another secret, another id, or another time is no token."""
    token, text = make_token("ci", [], NOW, NOW + 60)
    _, other = make_token("ci", [], NOW)
    accounts = Accounts().add_token(token)

    assert accounts.find_token(text, NOW) == token
    assert accounts.find_token(text, NOW + 60) is None
    assert accounts.find_token(other, NOW) is None
    assert accounts.find_token(text[:-1] + ("a" if text[-1] != "a" else "b"), NOW) is None
    assert accounts.find_token("", NOW) is None


def test_users_and_tokens_share_their_names() -> None:
    """So that a rule, and a line of the log, mean one of them."""
    token, _ = make_token("alice", [], NOW)

    with pytest.raises(AccountExists):
        Accounts().add_user(ALICE).add_token(token)
    with pytest.raises(AccountExists):
        Accounts().add_token(token).add_user(ALICE)


def test_what_does_not_exist_cannot_be_removed() -> None:
    """The error names what exists."""
    accounts = Accounts().add_user(ALICE)

    with pytest.raises(AccountUnknown, match="there are: alice"):
        accounts.remove_user("bob")
    with pytest.raises(AccountUnknown, match="no token named 'alice'"):
        accounts.remove_token("alice")
    assert accounts.remove_user("alice") == Accounts()


def test_a_changed_password_changes_the_fingerprint() -> None:
    """Tokens of `/token` that were signed before end with it; so they do for a user made anew."""
    changed = User("alice", "$2b$other", ALICE.groups, NOW)
    anew = User("alice", ALICE.password, ALICE.groups, NOW + 1)

    assert len({each.fingerprint for each in (ALICE, changed, anew)}) == 3


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"version": 2, "users": [], "tokens": []},
        {"version": 1, "users": [{}], "tokens": []},
        {"version": 1, "users": [{"name": "A"} | {"password": "", "groups": [], "made": 0}]}
        | {"tokens": []},
        {"version": 1, "users": [format_accounts(Accounts().add_user(ALICE))["users"][0]] * 2}
        | {"tokens": []},
        {"version": 1, "users": None, "tokens": []},
    ],
)
def test_damaged_accounts_are_refused(document: object) -> None:
    """Nobody is let in, or locked out, by half a file."""
    with pytest.raises(ValueError, match=r"."):
        parse_accounts(document)


def test_a_token_without_an_end() -> None:
    """It has none in memory either."""
    token, text = make_token("ci", [], NOW)

    assert token.expires == math.inf
    assert Accounts().add_token(token).find_token(text, NOW * 10) == token


def test_an_end_follows_the_clock_and_a_removal_does_not() -> None:
    """If the clock is set back, a token that has ended counts again, and a removed one does not."""
    token, text = make_token("ci", [], NOW, NOW + 60)
    accounts = Accounts().add_token(token)

    assert accounts.find_token(text, NOW + 61) is None
    assert accounts.find_token(text, NOW + 59) == token
    assert accounts.remove_token("ci").find_token(text, NOW + 59) is None
