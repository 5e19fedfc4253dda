"""The tokens of `/token`: a statement of this mirror, signed with its own key."""

import base64
import hashlib
import hmac
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from registry.errors import StoreError
from registry.store.files import translate_errors, write_durably

KEY_LENGTH = 32  # bytes
MARK = "ens1."  # begins each token, so that a reader of a log knows what it was


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed: an account, what changes when it changes, and an end in epoch seconds.

    `name` and `fingerprint` are empty for somebody who has not logged in. `repositories` are full
    names, for which the token may be used.
    """

    name: str
    fingerprint: str
    repositories: frozenset[str]
    expires: float


class TokenSigner:
    """Signs statements, and reads those that it has signed."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, statement: Statement) -> str:
        """Return the token for a statement."""
        fields = [statement.name, statement.fingerprint, statement.expires]
        text = json.dumps([*fields, sorted(statement.repositories)], separators=(",", ":"))
        body = _encode(text.encode())
        return f"{MARK}{body}.{self._make_signature(body)}"

    def read(self, token: str, now: float) -> Statement | None:
        """Return the statement of a token; None if it is not ours, or has expired."""
        body, _, signature = token.removeprefix(MARK).partition(".")
        is_ours = token.startswith(MARK) and hmac.compare_digest(
            self._make_signature(body).encode(), signature.encode()
        )
        if not is_ours:
            return None
        name, fingerprint, expires, repositories = json.loads(_decode(body))
        if now >= expires:
            return None
        return Statement(name, fingerprint, frozenset(repositories), expires)

    def _make_signature(self, body: str) -> str:
        return _encode(hmac.digest(self._key, body.encode(), hashlib.sha256))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def open_key(path: Path) -> bytes:
    """Return the key in a file, which is made if it does not exist.

    Two servers that make it at once use the key of the one that was first.

    Raises:
        StoreError: it cannot be read or made, or has too few bytes.
    """
    with translate_errors(path):
        if not path.exists():
            made = path.with_name(f".new-{secrets.token_hex(8)}")
            write_durably(made, secrets.token_bytes(KEY_LENGTH), is_secret=True)
            try:
                with suppress(FileExistsError):
                    os.link(made, path)
            finally:
                made.unlink()
        key = path.read_bytes()
    if len(key) < KEY_LENGTH:
        raise StoreError(str(path), "is too short to be a key: delete it, and clients log in again")
    return key
