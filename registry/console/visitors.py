"""Who looks at the console, and whether they may see and change things."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from registry.access.credentials import parse_authorization
from registry.access.operators import Operator, Operators
from registry.console.browser_requests import is_loopback
from registry.console.sessions import FormTokens, Sessions
from registry.errors import CredentialsWrong, EntrepotError

COOKIE = "entrepot_session"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: `name` is empty without a login; `session` is the value of the cookie.

    `fingerprint` is that of the account. With `is_admitted`, pages are shown; with `may_change`,
    actions are carried out.
    """

    name: str = ""
    session: str = ""
    fingerprint: str = ""
    is_admitted: bool = True
    may_change: bool = True


class Visitors:
    """Decides who is admitted.

    Without accounts, whoever reaches the console sees it, and only this machine changes things.
    """

    def __init__(self, operators: Operators | None) -> None:
        """`operators` are None if there are no accounts (`access.mode = "open"`)."""
        self._operators = operators
        self._sessions = Sessions()
        self._tokens = FormTokens()

    @property
    def has_login(self) -> bool:
        """Whether people have to log in."""
        return self._operators is not None

    async def find(self, request: web.Request) -> Visitor:
        """Return who asks."""
        if self._operators is None:
            return Visitor(may_change=is_loopback(request.remote))
        cookie = request.cookies.get(COOKIE, "")
        session = self._sessions.find(cookie)
        if session is not None:
            if self._operators.is_current(session.name, session.fingerprint):
                return Visitor(session.name, cookie, session.fingerprint)
            self._sessions.end(cookie)
        return await self._identify(request, self._operators)

    def is_still_admitted(self, visitor: Visitor) -> bool:
        """Whether somebody who was admitted may still see pages."""
        if self._operators is None:
            return visitor.is_admitted
        if visitor.session and self._sessions.find(visitor.session) is None:
            return False
        return self._operators.is_current(visitor.name, visitor.fingerprint)

    async def _identify(self, request: web.Request, operators: Operators) -> Visitor:
        """Return who a program is, by its header `Authorization`."""
        try:
            credentials = parse_authorization(request.headers.getall("Authorization", ()))
            if credentials is not None:
                operator = await operators.identify(credentials, request.remote)
                if operator.is_allowed:
                    return Visitor(operator.name, "", operator.fingerprint, may_change=False)
        except EntrepotError:
            pass  # the answer is the same for a wrong password and for none
        return Visitor(is_admitted=False, may_change=False)

    async def log_in(self, form: Mapping[str, str], address: str | None) -> Operator:
        """Return who logs in with a form.

        Raises:
            CredentialsWrong: name or password is wrong, or there are no accounts.
            TooManyLogins: too many passwords are to be checked.
        """
        if self._operators is None:
            raise CredentialsWrong
        name, password = form.get("name", ""), form.get("password", "")
        return await self._operators.log_in(name, password, address)

    def begin(self, operator: Operator) -> str:
        """Return the value of the cookie of a new session."""
        return self._sessions.begin(operator.name, operator.fingerprint)

    def end(self, visitor: Visitor) -> None:
        """Log a visitor out."""
        self._sessions.end(visitor.session)

    def make_token(self, visitor: Visitor) -> str:
        """Return the value that the forms of this visitor have."""
        return self._tokens.make(_find_subject(visitor))

    def is_right(self, visitor: Visitor, token: str) -> bool:
        """Whether a form was made for this visitor."""
        return self._tokens.is_right(_find_subject(visitor), token)


def _find_subject(visitor: Visitor) -> str:
    """Return whose forms these are: nobody who may change nothing gets the value of one who may."""
    return visitor.session or ("this machine" if visitor.may_change else "")
