"""Changes of users and tokens, by commands; running servers notice them within a second."""

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from registry.access.accounts import (
    Accounts,
    Token,
    User,
    format_accounts,
    make_token,
)
from registry.access.accounts_file import read_accounts
from registry.access.last_uses import UseFiles
from registry.access.passwords import hash_password
from registry.oci.account_names import check_name
from registry.store.file_locks import ExclusiveLocks
from registry.store.files import translate_errors, write_durably
from registry.tasks import in_thread

ACCOUNTS = "accounts"  # the lock


class AccountChanges:
    """Adds, changes and removes accounts in one file.

    Each of these methods raises StoreError if the file is damaged, the disk refuses, or another
    process has held the lock for too long; then nothing was changed.
    """

    def __init__(
        self,
        path: Path,
        locks: ExclusiveLocks,
        uses: UseFiles,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._locks = locks
        self._uses = uses
        self._clock = clock

    def read(self) -> Accounts:
        """Return the accounts.

        Raises:
            StoreError: as for `read_accounts`.
        """
        return read_accounts(self._path)

    def find_last_use(self, account: User | Token) -> float | None:
        """Return when an account was used, in epoch seconds, up to an hour too early; None: never.

        Raises:
            StoreError: the disk refused.
        """
        with translate_errors(self._path):
            return self._uses.read(account.name, account.made)

    async def add_user(self, name: str, password: str | None, groups: Iterable[str]) -> User:
        """Add a user; without a password, it is known by a client certificate only.

        Raises:
            InvalidInput: a name or the password cannot be used.
            AccountExists: a user or token has this name.
        """
        known = frozenset(map(check_name, groups))
        stored = "" if password is None else await _hash(password)
        user = User(check_name(name), stored, known, self._clock())
        await self._change(lambda accounts: accounts.add_user(user))
        return user

    async def set_password(self, name: str, password: str) -> User:
        """Give a user another password.

        Raises:
            InvalidInput: the password cannot be used.
            AccountUnknown: there is no such user.
        """
        stored = await _hash(password)

        def change(accounts: Accounts) -> Accounts:
            return accounts.replace_user(replace(accounts.get_user(name), password=stored))

        return (await self._change(change)).get_user(name)

    async def remove_user(self, name: str) -> User:
        """Remove a user, and return it.

        Raises:
            AccountUnknown: there is no such user.
        """
        user = self.read().get_user(name)
        await self._change(lambda accounts: accounts.remove_user(name))
        await self._forget(name)
        return user

    async def add_token(
        self, name: str, groups: Iterable[str], life: float = math.inf
    ) -> tuple[Token, str]:
        """Add a token that can be used for `life` seconds; return it and its text.

        Raises:
            InvalidInput: a name cannot be used.
            AccountExists: a user or token has this name.
        """
        known = frozenset(map(check_name, groups))
        now = self._clock()
        token, text = make_token(check_name(name), known, now, now + life)
        await self._change(lambda accounts: accounts.add_token(token))
        return token, text

    async def remove_token(self, name: str) -> Token:
        """Remove a token, and return it.

        Raises:
            AccountUnknown: there is no such token.
        """
        token = self.read().get_token(name)
        await self._change(lambda accounts: accounts.remove_token(name))
        await self._forget(name)
        return token

    async def _change(self, change: Callable[[Accounts], Accounts]) -> Accounts:
        async with self._locks.hold(ACCOUNTS):
            changed = change(self.read())
            content = json.dumps(format_accounts(changed), indent=1).encode() + b"\n"
            await in_thread(self._write, content)
        return changed

    async def _forget(self, name: str) -> None:
        with translate_errors(self._path):
            await in_thread(self._uses.forget, name)

    def _write(self, content: bytes) -> None:
        with translate_errors(self._path):
            write_durably(self._path, content, is_secret=True)


async def _hash(password: str) -> str:
    return await in_thread(lambda: hash_password(password))  # it takes 0.1 s on purpose
