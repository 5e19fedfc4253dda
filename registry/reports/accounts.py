"""The reports of users and tokens. No password and no secret is in them, but for a new token."""

import math
from dataclasses import dataclass, field


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
