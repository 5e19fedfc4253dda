"""The reports of users and tokens. No password and no secret is in them, but for a new token."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Account(Protocol):
    """What users and tokens have in common. `made` is in epoch seconds."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def groups(self) -> frozenset[str]:
        """Its groups."""

    @property
    def made(self) -> float:
        """When it was added."""


class UserAccount(Account, Protocol):
    """A user as accounts have it (`access/accounts.py`)."""

    @property
    def password(self) -> str:
        """A hash, or empty: the user is known by a certificate only."""


class TokenAccount(Account, Protocol):
    """A token as accounts have it (`access/accounts.py`)."""

    @property
    def expires(self) -> float:
        """When it ends, in epoch seconds; infinite if it does not."""


@dataclass(frozen=True, slots=True)
class UserReport:
    """A user; `has_password` is false for one who is known by a certificate only.

    `last_used` is in epoch seconds, and up to an hour too early; None: never.
    """

    name: str
    groups: tuple[str, ...]
    has_password: bool
    made: float
    last_used: float | None = None


@dataclass(frozen=True, slots=True)
class TokenReport:
    """A token; `expires` is infinite if it does not end. Times are epoch seconds.

    `last_used` is up to an hour too early; None: never.
    """

    name: str
    groups: tuple[str, ...]
    made: float
    expires: float
    has_expired: bool
    last_used: float | None = None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made; `token` is its text, which is shown only now."""

    name: str
    token: str = field(repr=False)
    groups: tuple[str, ...]
    expires: float = math.inf


@dataclass(frozen=True, slots=True)
class AccountList:
    """All users and tokens by name; without rules, none of them may pull anything."""

    users: Sequence[UserReport]
    tokens: Sequence[TokenReport] = field(repr=False)
    has_rules: bool


def report_user(user: UserAccount, last_used: float | None = None) -> UserReport:
    """Return the report of a user."""
    groups, has_password = tuple(sorted(user.groups)), bool(user.password)
    return UserReport(user.name, groups, has_password, user.made, last_used)


def report_token(token: TokenAccount, now: float, last_used: float | None = None) -> TokenReport:
    """Return the report of a token at the moment `now`."""
    groups, is_over = tuple(sorted(token.groups)), now >= token.expires
    return TokenReport(token.name, groups, token.made, token.expires, is_over, last_used)
