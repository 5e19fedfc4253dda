"""Users and tokens, as they are written in `accounts.json`. Pure."""

import hashlib
import math
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from registry.errors import AccountExists, AccountUnknown, InvalidInput
from registry.oci.account_names import check_name
from registry.oci.token_texts import SIGN

_VERSION = 1
_TOKEN = re.compile(rf"{SIGN}(?P<id>[a-z2-7]{{8}})_(?P<secret>[a-z2-7]{{32}})")
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 base32, in small letters
_ID_LENGTH, _SECRET_LENGTH = 8, 32  # 40 and 160 bits


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who logs in with a password; `password` is a hash of bcrypt, or empty: no login.

    A user without a password can be known by a client certificate. Times are epoch seconds.
    """

    name: str
    password: str = field(repr=False)
    groups: frozenset[str]
    made: float

    @property
    def fingerprint(self) -> str:
        """What changes with the password, and cannot be turned back into it."""
        return hashlib.sha256(f"{self.made}:{self.password}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Token:
    """A secret that stands for the identity `name`; `digest` is the SHA-256 of the secret."""

    id: str
    name: str
    digest: str
    groups: frozenset[str]
    made: float
    expires: float = math.inf

    @property
    def fingerprint(self) -> str:
        """What differs for each token."""
        return self.digest[:16]


@dataclass(frozen=True, slots=True)
class Accounts:
    """All users by name, and all tokens by id."""

    users: Mapping[str, User] = field(default_factory=dict)
    tokens: Mapping[str, Token] = field(default_factory=dict)
    _named: Mapping[str, Token] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the tokens by name: each request looks for one."""
        named = {token.name: token for token in self.tokens.values()}
        object.__setattr__(self, "_named", named)

    def find_token(self, text: str, now: float) -> Token | None:
        """Return the token that this is; None if it is no token, is unknown, or has expired."""
        parts = _TOKEN.fullmatch(text)
        token = None if parts is None else self.tokens.get(parts["id"])
        if parts is None or token is None or now >= token.expires:
            return None
        is_same = secrets.compare_digest(_hash_secret(parts["secret"]), token.digest)
        return token if is_same else None

    def get_user(self, name: str) -> User:
        """Return a user.

        Raises:
            AccountUnknown: there is no such user.
        """
        if name not in self.users:
            raise AccountUnknown("user", name, sorted(self.users))
        return self.users[name]

    def get_token(self, name: str) -> Token:
        """Return the token of this name.

        Raises:
            AccountUnknown: there is no such token.
        """
        if name not in self._named:
            raise AccountUnknown("token", name, sorted(self._named))
        return self._named[name]

    def find_by_name(self, name: str) -> User | Token | None:
        """Return the user or token of this name."""
        return self.users.get(name) or self._named.get(name)

    def add_user(self, user: User) -> "Accounts":
        """Return the accounts with another user.

        Raises:
            InvalidInput: the name cannot be one.
            AccountExists: a user or token has this name.
        """
        self._require_free(user.name)
        return replace(self, users={**self.users, user.name: user})

    def replace_user(self, user: User) -> "Accounts":
        """Return the accounts with a changed user.

        Raises:
            AccountUnknown: there is no such user.
        """
        self.get_user(user.name)
        return replace(self, users={**self.users, user.name: user})

    def remove_user(self, name: str) -> "Accounts":
        """Return the accounts without a user.

        Raises:
            AccountUnknown: there is no such user.
        """
        self.get_user(name)
        kept = {each: user for each, user in self.users.items() if each != name}
        return replace(self, users=kept)

    def add_token(self, token: Token) -> "Accounts":
        """Return the accounts with another token.

        Raises:
            InvalidInput: the name cannot be one.
            AccountExists: a user or token has this name.
        """
        self._require_free(token.name)
        return replace(self, tokens={**self.tokens, token.id: token})

    def remove_token(self, name: str) -> "Accounts":
        """Return the accounts without the token of this name.

        Raises:
            AccountUnknown: there is no such token.
        """
        self.get_token(name)
        kept = {key: token for key, token in self.tokens.items() if token.name != name}
        return replace(self, tokens=kept)

    def _require_free(self, name: str) -> None:
        check_name(name)
        if name in self.users:
            raise AccountExists("user", name)
        if name in self._named:
            raise AccountExists("token", name)


def make_token(
    name: str, groups: Iterable[str], now: float, expires: float = math.inf
) -> tuple[Token, str]:
    """Return a new token, and its text, which is shown once and not stored."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH + _SECRET_LENGTH))
    key, secret = letters[:_ID_LENGTH], letters[_ID_LENGTH:]
    token = Token(key, name, _hash_secret(secret), frozenset(groups), now, expires)
    return token, f"{SIGN}{key}_{secret}"


def _hash_secret(secret: str) -> str:
    # Fast, unlike that of a password: nobody can try 2**160 secrets.
    return hashlib.sha256(secret.encode()).hexdigest()


def format_accounts(accounts: Accounts) -> dict[str, Any]:
    """Return the document for `accounts.json`."""
    users = [
        {"name": each.name, "password": each.password, "groups": sorted(each.groups)}
        | {"made": each.made}
        for _, each in sorted(accounts.users.items())
    ]
    tokens = [
        {"id": each.id, "name": each.name, "sha256": each.digest, "groups": sorted(each.groups)}
        | {"made": each.made, "expires": None if math.isinf(each.expires) else each.expires}
        for _, each in sorted(accounts.tokens.items())
    ]
    return {"version": _VERSION, "users": users, "tokens": tokens}


def parse_accounts(document: object) -> Accounts:
    """Read the document of `accounts.json`.

    Raises:
        ValueError: it is another one; the message says what is wrong, and quotes no secret.
    """
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        raise ValueError(f"it is not a list of accounts of version {_VERSION}")
    try:
        users = [_parse_user(each) for each in document["users"]]
        tokens = [_parse_token(each) for each in document["tokens"]]
    except (KeyError, TypeError) as error:
        raise ValueError("an entry of it is incomplete") from error
    except InvalidInput as error:
        raise ValueError(str(error)) from error
    names = [each.name for each in users] + [each.name for each in tokens]
    if len(set(names)) < len(names):
        raise ValueError("a name is in it twice")
    return Accounts({each.name: each for each in users}, {each.id: each for each in tokens})


def _parse_user(entry: Mapping[str, Any]) -> User:
    groups = frozenset(check_name(group) for group in entry["groups"])
    name = check_name(str(entry["name"]))
    return User(name, str(entry["password"]), groups, float(entry["made"]))


def _parse_token(entry: Mapping[str, Any]) -> Token:
    groups = frozenset(check_name(group) for group in entry["groups"])
    expires = math.inf if entry["expires"] is None else float(entry["expires"])
    name, made = check_name(str(entry["name"])), float(entry["made"])
    return Token(str(entry["id"]), name, str(entry["sha256"]), groups, made, expires)
