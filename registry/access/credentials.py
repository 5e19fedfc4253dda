"""What a client sends to say who it is. Pure: nothing is checked but the form."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from registry.errors import CredentialsInvalid

LONGEST = 8192  # bytes of the header; a token of `/token` has a few hundred
# RFC 9110 section 11.4: the name of a scheme, spaces, and token68 (RFC 7235 section 2.1).
_HEADER = re.compile(r"(?P<scheme>[A-Za-z]+) +(?P<value>[A-Za-z0-9._~+/-]+=*) *")
# The first segment may be written with an escape, as the path is decoded later.
_PATH = re.compile(r"/(?:t|%74)/(?P<token>[^/]*)(?P<rest>/.*)?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Login:
    """A name and a password, which may be a token."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token, or what `/token` has signed."""

    text: str = field(repr=False)


Credentials = Login | Bearer


def parse_authorization(values: Sequence[str]) -> Credentials | None:
    """Read the values of the header `Authorization`; None if there is none.

    Raises:
        CredentialsInvalid: they are malformed, or of a scheme that is not known.
    """
    if not values:
        return None
    found = _HEADER.fullmatch(values[0]) if len(values[0]) <= LONGEST else None
    if found is None or len(values) > 1:
        raise CredentialsInvalid
    scheme = found["scheme"].lower()
    if scheme == "bearer":
        return Bearer(found["value"])
    if scheme != "basic":
        raise CredentialsInvalid
    return _parse_basic(found["value"])


def _parse_basic(value: str) -> Login:
    """Read user and password (RFC 7617 section 2)."""
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise CredentialsInvalid from error
    name, colon, password = text.partition(":")
    if not colon:
        raise CredentialsInvalid
    return Login(name, password)


def split_path(path: str) -> tuple[str, str]:
    """Split `/t/<token>/...`: return the token, and the path without it.

    The token is empty if the path has none. What stands in its place counts as one, whatever it is,
    so that a token with an error in it does not get into the log.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return "", path
    return found["token"] or "-", found["rest"] or "/"
