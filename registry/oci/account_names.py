"""Names of users, tokens and groups, as rules and accounts write them."""

import re

from registry.errors import InvalidInput

_NAME = r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?"
_ACCOUNT = re.compile(_NAME)
_WHO = re.compile(rf"\*|@?{_NAME}")
_RESERVED = frozenset({"anonymous"})  # in a rule, it means whoever has not logged in


def is_group(text: str) -> bool:
    """Whether a text can be the name of a group."""
    return _ACCOUNT.fullmatch(text) is not None


def is_who(text: str) -> bool:
    """Whether a rule may write this for whom it is: a name, `@group`, `anonymous` or `*`."""
    return _WHO.fullmatch(text) is not None


def check_name(name: str) -> str:
    """Return the name of a user, token or group, if an account can have it.

    Raises:
        InvalidInput: it cannot.
    """
    if _ACCOUNT.fullmatch(name) is None or name in _RESERVED:
        raise InvalidInput(
            f"{name[:100]!r} cannot be a name: write small letters and digits, and . _ - between"
            " them, at most 64 in all"
        )
    return name
