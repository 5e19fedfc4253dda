"""Who may use the console, if `access.mode` is "users": the users of one group."""

from dataclasses import dataclass

from registry.access.control import AccessControl
from registry.access.credentials import Credentials, Login
from registry.access.last_uses import UseRecorder
from registry.access.surroundings import Surroundings

GROUP = "admin"


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who has proved who they are; `is_allowed` says whether they may use the console.

    `fingerprint` changes with the password.
    """

    name: str
    fingerprint: str
    is_allowed: bool


class Operators:
    """Identifies operators by the accounts of the mirror."""

    def __init__(self, control: AccessControl, uses: UseRecorder) -> None:
        """`uses` notes who has logged in, as workers note who has pulled."""
        self._control = control
        self._uses = uses

    async def identify(self, credentials: Credentials, address: str | None) -> Operator:
        """Return who has sent these credentials.

        Raises:
            CredentialsWrong: they belong to no account.
            TooManyLogins: too many passwords are to be checked.
        """
        principal = await self._control.identify(credentials, "", Surroundings(address))
        account = self._control.accounts.current.find_by_name(principal.name)
        if account is None:
            return Operator(principal.name, "", is_allowed=False)
        # Not the groups of the address: a network proves nothing about a person.
        return Operator(account.name, account.fingerprint, is_allowed=GROUP in account.groups)

    async def log_in(self, name: str, password: str, address: str | None) -> Operator:
        """Return who logs in with a name and a password; raises as `identify`."""
        operator = await self.identify(Login(name, password), address)
        if operator.fingerprint:  # the account was not removed meanwhile
            self._uses.note(operator.name)
            await self._uses.write()
        return operator

    def is_current(self, name: str, fingerprint: str) -> bool:
        """Whether an account still is what it was at the login, and may use the console."""
        account = self._control.accounts.current.find_by_name(name)
        if account is None or account.fingerprint != fingerprint:
            return False
        return GROUP in account.groups
