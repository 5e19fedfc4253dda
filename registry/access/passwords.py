"""Passwords: their hashes, and the check of one, which takes 0.1 s of a core on purpose."""

import asyncio
import hashlib
import hmac
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import bcrypt

from registry.access.check_queue import CheckQueue
from registry.access.login_limit import LoginLimit
from registry.errors import InvalidInput, TooManyLogins

ROUNDS = 11  # of bcrypt: 2**11 steps
LONGEST = 72  # bytes; bcrypt reads no more
SHORTEST = 8  # characters
AT_ONCE = 2  # passwords that a process checks at once
# What is added to the nice value of the threads that check: while pulls use all cores, a check gets
# a tenth of one. With the least priority, a login could take half a minute then.
NICE = 10
MOST_WAITING = 64  # passwords that wait for it; of more, those of the worst guessers are refused
DELAY = 2.0  # seconds until who is refused is told so
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

    def __init__(
        self, limit: LoginLimit | None = None, note_refused: Callable[[], None] = lambda: None
    ) -> None:
        """`note_refused` is called for each check that is refused."""
        self._limit = LoginLimit() if limit is None else limit
        self._note_refused = note_refused
        self._key = secrets.token_bytes(32)
        self._results: OrderedDict[bytes, bool] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[bool]] = {}
        self._queue = CheckQueue(AT_ONCE, MOST_WAITING)
        self._threads = ThreadPoolExecutor(AT_ONCE, "passwords", _lower_priority)

    async def is_right(self, name: str, password: str, stored: str, address: str = "") -> bool:
        """Whether this is the password of which `stored` is the hash; empty: nobody's.

        An unknown user takes as long as a wrong password. `address` is that of the client.

        Raises:
            TooManyLogins: too many wait for a check, or the address was wrong too often.
        """
        key = self._hash(name, password, stored)
        known = self._recall(key)
        if known is not None:
            return known
        running = self._running.get(key)
        try:
            if running is None:
                running = self._begin(key, password, stored, address)
            return await asyncio.shield(running)
        except TooManyLogins:
            self._note_refused()
            # Whoever guesses waits for the answer, and asks less often: this costs nothing.
            await asyncio.sleep(DELAY)
            raise

    def _begin(self, key: bytes, password: str, stored: str, address: str) -> asyncio.Task[bool]:
        spent = self._limit.take(address)
        if spent is None:
            raise TooManyLogins
        # A task, since others join it, and the client may leave.
        running = asyncio.create_task(self._check(key, password, stored, address, spent))
        self._running[key] = running
        running.add_done_callback(lambda _: self._running.pop(key))
        return running

    async def _check(
        self, key: bytes, password: str, stored: str, address: str, spent: float
    ) -> bool:
        loop = asyncio.get_running_loop()
        async with self._queue.hold_turn(spent):
            is_right = await loop.run_in_executor(self._threads, _check, password, stored)
        if is_right:
            self._limit.give_back(address)
        self._results[key] = is_right
        while len(self._results) > REMEMBERED:
            self._results.popitem(last=False)
        return is_right

    def recall(self, name: str, password: str, stored: str) -> bool | None:
        """Return the result of an earlier check; None if there is none."""
        return self._recall(self._hash(name, password, stored))

    def _recall(self, key: bytes) -> bool | None:
        found = self._results.get(key)
        if found is not None:
            self._results.move_to_end(key)
        return found

    def _hash(self, name: str, password: str, stored: str) -> bytes:
        text = "\0".join((name, stored, password))
        return hmac.digest(self._key, text.encode(), hashlib.sha256)


def _lower_priority() -> None:
    """Let this thread have what pulls leave of the cores: a flood of logins slows down nobody."""
    # On Linux each thread has a priority of its own, by its own number.
    thread = threading.get_native_id()
    with suppress(OSError):  # the sandbox of the process forbids it
        nice = os.getpriority(os.PRIO_PROCESS, thread) + NICE
        os.setpriority(os.PRIO_PROCESS, thread, nice)  # what is too much counts as the most


def _check(password: str, stored: str) -> bool:
    raw = password.encode()
    is_possible = bool(stored) and len(raw) <= LONGEST and b"\0" not in raw
    try:
        is_same = bcrypt.checkpw(raw if is_possible else b"", (stored or _NOBODY).encode())
    except ValueError:  # `stored` is no hash of bcrypt: somebody has edited the file
        return False
    return is_same and is_possible
