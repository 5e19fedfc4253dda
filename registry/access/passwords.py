"""Passwords: their hashes, and the check of one, which takes 0.1 s of a core on purpose."""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict

import bcrypt

from registry.access.login_limit import LoginLimit
from registry.errors import InvalidInput, TooManyLogins
from registry.tasks import in_thread

ROUNDS = 11  # of bcrypt: 2**11 steps
LONGEST = 72  # bytes; bcrypt reads no more
SHORTEST = 8  # characters
AT_ONCE = 2  # passwords that a process checks at once
MOST_WAITING = 64  # that wait for it; the next one is refused
REMEMBERED = 10_000  # results
_NOBODY = "$2b$11$KFGRWg09RwzBrT7q3n3eW.BwS/13ArCtG/bdQSZVZzUJGBSz33c/q"  # of an unknown user


def hash_password(password: str, rounds: int = ROUNDS) -> str:
    """Return what is stored of a password.

    Raises:
        InvalidInput: it is too short, too long, or has a character that cannot be sent.
    """
    if len(password) < SHORTEST:
        raise InvalidInput(f"the password has fewer than {SHORTEST} characters")
    raw = password.encode()
    if len(raw) > LONGEST:
        raise InvalidInput(f"the password has more than {LONGEST} bytes")
    if not password.isprintable():
        raise InvalidInput("the password has a character that cannot be printed")
    return bcrypt.hashpw(raw, bcrypt.gensalt(rounds)).decode()


class PasswordChecks:
    """Checks passwords in threads, a few at once, and remembers the results.

    A client sends its password with each request. What is remembered is a keyed hash of user,
    stored hash and password, so that it ends when the password changes.
    """

    def __init__(self, limit: LoginLimit) -> None:
        self._limit = limit
        self._key = secrets.token_bytes(32)
        self._results: OrderedDict[bytes, bool] = OrderedDict()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def is_right(self, name: str, password: str, stored: str, address: str = "") -> bool:
        """Whether this is the password of which `stored` is the hash; empty: nobody's.

        An unknown user takes as long as a wrong password. `address` is that of the client.

        Raises:
            TooManyLogins: too many wait for a check, or the address was wrong too often.
        """
        known = self.recall(name, password, stored)
        if known is not None:
            return known
        if self._waiting >= MOST_WAITING or not self._limit.allows(address):
            raise TooManyLogins
        self._waiting += 1
        try:
            async with self._turns:
                known = self.recall(name, password, stored)  # of another request meanwhile
                if known is None:
                    known = await in_thread(lambda: _check(password, stored))
                    self._remember(self._hash(name, password, stored), known)
                    if not known:
                        self._limit.note_failure(address)
        finally:
            self._waiting -= 1
        return known

    def recall(self, name: str, password: str, stored: str) -> bool | None:
        """Return the result of an earlier check; None if there is none."""
        key = self._hash(name, password, stored)
        found = self._results.get(key)
        if found is not None:
            self._results.move_to_end(key)
        return found

    def _remember(self, key: bytes, is_right: bool) -> None:
        self._results[key] = is_right
        while len(self._results) > REMEMBERED:
            self._results.popitem(last=False)

    def _hash(self, name: str, password: str, stored: str) -> bytes:
        text = "\0".join((name, stored, password))
        return hmac.digest(self._key, text.encode(), hashlib.sha256)


def _check(password: str, stored: str) -> bool:
    raw = password.encode()
    is_possible = bool(stored) and len(raw) <= LONGEST and b"\0" not in raw
    try:
        is_same = bcrypt.checkpw(raw if is_possible else b"", (stored or _NOBODY).encode())
    except ValueError:  # `stored` is no hash of bcrypt: somebody has edited the file
        return False
    return is_same and is_possible
