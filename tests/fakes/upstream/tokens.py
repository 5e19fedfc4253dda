"""Tokens and logins: which user may read which repository."""

import base64
import binascii
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.fakes.upstream.conduct import Conduct, Login
from tests.harness.planted import UPSTREAM_TOKEN


@dataclass(frozen=True)
class Token:
    """The repositories that a token is for, and when it expires (`time.monotonic()`)."""

    repositories: frozenset[str]
    expires_at: float


class Tokens:
    """The tokens that were issued."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._issued: dict[str, Token] = {}

    def issue(self, repositories: Iterable[str], ttl: float) -> str:
        """Return a new token for these repositories."""
        name = UPSTREAM_TOKEN + secrets.token_urlsafe(24)
        with self._lock:
            self._issued[name] = Token(frozenset(repositories), time.monotonic() + ttl)
        return name

    def find(self, name: str) -> Token | None:
        """Return the token, if it was issued here and has not expired."""
        with self._lock:
            token = self._issued.get(name)
        return token if token is not None and token.expires_at > time.monotonic() else None

    def expire_all(self) -> None:
        """Make all tokens issued so far invalid."""
        with self._lock:
            self._issued.clear()


def parse_basic(header: str | None) -> Login | None:
    """Return user and password of an `Authorization` header; None if it has none."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user, password


def knows_login(conduct: Conduct, login: Login) -> bool:
    """Whether this is a user that the test has set, with the right password."""
    return login == conduct.require_user or login in conduct.private.values()


def may_read(conduct: Conduct, repository: str, login: Login | None) -> bool:
    """Whether this user (None: anonymous) may read the repository."""
    if repository in conduct.private:
        return login == conduct.private[repository]
    return conduct.require_user is None or login == conduct.require_user


def parse_scopes(scopes: Iterable[str]) -> list[str]:
    """Return the repositories of the `repository:<name>:<actions>` scopes that allow pulls."""
    found = []
    for scope in " ".join(scopes).split():
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        if kind == "repository" and {"pull", "*"} & set(actions.split(",")):
            found.append(name)
    return found


def write_challenge(scheme: str, fields: Mapping[str, str | None]) -> str:
    """Return the value of a `WWW-Authenticate` header."""
    present = [f'{name}="{value}"' for name, value in fields.items() if value is not None]
    return f"{scheme} " + ",".join(present)
