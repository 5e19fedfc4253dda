"""Laws of accounts: what is stored is of no use to whoever reads it, and names are unique."""

import json
import math

import pytest

from registry.access.accounts import (
    Accounts,
    User,
    format_accounts,
    make_token,
    mask_tokens,
    parse_accounts,
    refuse_tokens,
)
from registry.errors import AccountExists, AccountUnknown, TokenMisplaced

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


SECRET = "abcdefgh" * 4
SPELLINGS = [
    f"ent_abcd2345_{SECRET}",
    f"t/ent_abcd2345_{SECRET}/library/app",
    f"a-ent_abcd2345_{SECRET}",
    f"xent_abcd2345_{SECRET}",
    f"ENT_ABCD2345_{SECRET.upper()}",
    f"%65nt_abcd2345_{SECRET}",
    f"ent%5fabcd2345%5F{SECRET}",
    f"ent%255fabcd2345_{SECRET}",
    f"ent_abcd2345_%61{SECRET[1:]}",
    f"ent_abcd2345_{SECRET[:-3]}",  # cut off
    f"ent_abcd2345_{SECRET}ab",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_token_is_found_in_every_spelling(text: str) -> None:
    """As a client may write it into a path; it is refused, and nothing of its secret is logged."""
    with pytest.raises(TokenMisplaced):
        refuse_tokens(text)
    masked = mask_tokens(text)
    assert "ent_********" in masked
    assert SECRET[-8:] not in masked.lower()


@pytest.mark.parametrize(
    "text",
    [
        "library/app",
        "acme/client_abc",
        "acme/agent_frontend_0123456789abcdef0123456789abcdef01234567",
        "acme/agent_linux_20261130123456",
        "acme/ent_server_20261130123456abcdefabcdef",
        "100%",
    ],
)
def test_names_of_images_are_no_tokens(text: str) -> None:
    """An image whose name looks a little like a token can be pulled."""
    refuse_tokens(text)


@pytest.mark.parametrize("text", ["", "library/app", "a%20b", "100%", "\n"])
def test_what_has_no_token_is_not_changed(text: str) -> None:
    """Also not its escapes."""
    assert mask_tokens(text) == text


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
