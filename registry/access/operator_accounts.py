"""Users and tokens as operators manage them in the console; the log says who has changed what."""

import math
from collections.abc import Sequence

from registry.access.account_changes import AccountChanges
from registry.access.accounts import Token, User
from registry.logs import get_logger
from registry.tasks import in_thread

LastUse = float | None  # epoch seconds; None: never


class OperatorAccounts:
    """Lists and changes accounts; the log says who has changed what, and never a secret.

    Each method raises StoreError if the file of accounts cannot be read or written.
    """

    def __init__(self, changes: AccountChanges) -> None:
        self._changes = changes
        self._log = get_logger("registry.access")

    async def list_users(self) -> Sequence[tuple[User, LastUse]]:
        """Return the users by name, with their last uses."""

        def read() -> list[tuple[User, LastUse]]:
            users = sorted(self._changes.read().users.items())
            return [(user, self._changes.find_last_use(user)) for _, user in users]

        return await in_thread(read)

    async def list_tokens(self) -> Sequence[tuple[Token, LastUse]]:
        """Return the tokens by name, with their last uses."""

        def read() -> list[tuple[Token, LastUse]]:
            tokens = sorted(self._changes.read().tokens.values(), key=lambda token: token.name)
            return [(token, self._changes.find_last_use(token)) for token in tokens]

        return await in_thread(read)

    async def add_user(
        self, by: str, name: str, password: str | None, groups: Sequence[str]
    ) -> None:
        """Add a user for the operator `by`; raises as `AccountChanges.add_user`."""
        await self._changes.add_user(name, password, groups)
        self._log.info("user added", name=name, groups=sorted(groups), by=by)

    async def set_password(self, by: str, name: str, password: str) -> None:
        """Give a user another password; raises as `AccountChanges.set_password`."""
        await self._changes.set_password(name, password)
        self._log.info("password changed", name=name, by=by)

    async def remove_user(self, by: str, name: str) -> None:
        """Remove a user; raises as `AccountChanges.remove_user`."""
        await self._changes.remove_user(name)
        self._log.info("user removed", name=name, by=by)

    async def add_token(
        self, by: str, name: str, groups: Sequence[str], life: float = math.inf
    ) -> tuple[Token, str]:
        """Make a token, return it and its text; raises as `AccountChanges.add_token`."""
        token, text = await self._changes.add_token(name, groups, life)
        self._log.info("token added", name=name, groups=sorted(groups), by=by)
        return token, text

    async def remove_token(self, by: str, name: str) -> None:
        """Remove a token; raises as `AccountChanges.remove_token`."""
        await self._changes.remove_token(name)
        self._log.info("token removed", name=name, by=by)
