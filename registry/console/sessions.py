"""People who are logged in, and the forms that they may send; in memory, for this process."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

LIFE = 12 * 3600.0  # seconds after which a person logs in again
MOST = 256  # people; the one that logged in first is logged out for another one


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in: the name, and what changes with the password."""

    name: str
    fingerprint: str
    ends: float


class Sessions:
    """Who is logged in, by the value of a cookie."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[str, Session] = OrderedDict()

    def begin(self, name: str, fingerprint: str) -> str:
        """Return the value of the cookie of a new session."""
        while len(self._open) >= MOST:
            self._open.popitem(last=False)
        value = secrets.token_urlsafe(32)
        self._open[value] = Session(name, fingerprint, self._clock() + LIFE)
        return value

    def find(self, value: str) -> Session | None:
        """Return the session of a cookie; None if it is over."""
        session = self._open.get(value)
        if session is not None and self._clock() >= session.ends:
            del self._open[value]
            return None
        return session

    def end(self, value: str) -> None:
        """End the session with this value of the cookie: its person has logged out."""
        self._open.pop(value, None)


class FormTokens:
    """Values in forms that no other site can know, so that it cannot send our forms."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def make(self, session: str) -> str:
        """Return the value for the forms of a session (empty: nobody is logged in)."""
        return hmac.new(self._key, session.encode(), hashlib.sha256).hexdigest()

    def is_right(self, session: str, value: str) -> bool:
        """Whether a form has the value for this session."""
        return hmac.compare_digest(self.make(session).encode(), value.encode())
