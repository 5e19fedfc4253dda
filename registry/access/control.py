"""Answers who asks, from what a request has: credentials, certificate, address."""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry.access.accounts import Accounts, Token, User
from registry.access.accounts_file import LiveAccounts
from registry.access.credentials import Bearer, Credentials, Login
from registry.access.login_limit import TOKEN_BURST, TOKEN_RATE, LoginLimit
from registry.access.networks import Networks
from registry.access.principals import ANONYMOUS, Principal, Proof
from registry.access.signed_tokens import Statement, TokenSigner
from registry.access.surroundings import Surroundings
from registry.errors import CredentialsWrong
from registry.oci.token_texts import refuse_tokens

if TYPE_CHECKING:  # it needs a library that only some servers need
    from registry.access.passwords import PasswordChecks

DELAY = 2.0  # seconds until who was wrong too often is answered
SIGNED_LIFE = 300.0  # seconds for which a token of `/token` may be used


@dataclass(frozen=True, slots=True)
class Stamp:
    """The accounts, the end of a proof, and the surroundings for which an answer was made."""

    version: int
    expires: float
    surroundings: Surroundings


class KnownAccount:
    """The account of somebody whose answer is being sent; tells whether the answer may go on.

    An account that was removed, or got another password, ends its answers. The end of a proof does
    not: a large blob takes longer than a token of `/token` lives.
    """

    __slots__ = ("_accounts", "_fingerprint", "_is_known", "_name", "_version")

    def __init__(self, accounts: LiveAccounts, name: str) -> None:
        """`name` is empty for somebody who has proved nothing."""
        self._accounts = accounts
        self._name = name
        self._version = accounts.version
        self._fingerprint = self._find_fingerprint()
        self._is_known = not name or bool(self._fingerprint)

    def __call__(self) -> bool:
        """Whether the account is still the same; it costs nothing while no account changes."""
        version = self._accounts.refresh()
        if version != self._version:
            self._version = version
            is_same = self._find_fingerprint() == self._fingerprint
            self._is_known = self._is_known and is_same
        return self._is_known

    def _find_fingerprint(self) -> str:
        account = self._accounts.current.find_by_name(self._name)
        return "" if account is None else account.fingerprint


class AccessControl:
    """Identifies clients by the accounts of a mirror."""

    def __init__(
        self,
        accounts: LiveAccounts,
        signer: TokenSigner,
        networks: Networks,
        passwords: "PasswordChecks",
        clock: Callable[[], float] = time.time,
        *,
        guesses: LoginLimit | None = None,
        tokens: LoginLimit | None = None,
    ) -> None:
        """`guesses` counts wrong credentials of each address, also those that cost nothing.

        `tokens` counts its requests for tokens of `/token`.
        """
        self.accounts = accounts
        self._signer = signer
        self._networks = networks
        self._passwords = passwords
        self._guesses = LoginLimit() if guesses is None else guesses
        usual = LoginLimit(rate=TOKEN_RATE, burst=TOKEN_BURST)
        self._tokens = usual if tokens is None else tokens
        self._clock = clock

    async def identify(
        self, credentials: Credentials | None, path_token: str, surroundings: Surroundings
    ) -> Principal:
        """Return who asks, with the groups of the account and of the address.

        Of several proofs, credentials count before a path token, and that before a certificate.

        Raises:
            CredentialsWrong: credentials or a path token that belong to no account.
            TokenMisplaced: a token is the name of a login, and not its password.
            TooManyLogins: too many passwords are to be checked.
        """
        version = self.accounts.refresh()
        try:
            principal = await self._find(credentials, path_token, surroundings)
        except CredentialsWrong:
            if self.accounts.refresh(at_once=True) != version:  # the account may be a new one
                return await self.identify(credentials, path_token, surroundings)
            if self._guesses.take(surroundings.address or "") is None:
                await asyncio.sleep(DELAY)  # so that who guesses asks less often
            raise
        groups = self._networks.find_groups(surroundings.place)
        return replace(principal, groups=principal.groups | groups) if groups else principal

    async def _find(
        self, credentials: Credentials | None, path_token: str, surroundings: Surroundings
    ) -> Principal:
        match credentials:
            case Login() as login:
                return await self._check_login(login, surroundings.address or "")
            case Bearer() as bearer:
                return self._check_bearer(bearer.text)
        if path_token:
            return self._check_token(path_token)
        name = surroundings.find_certificate(self._clock())
        user = self.accounts.current.users.get(name)
        if user is None:
            return ANONYMOUS
        return Principal(user.name, user.groups, Proof.CERTIFICATE, surroundings.ends)

    async def _check_login(self, login: Login, address: str) -> Principal:
        """Check a name with its password; or a token, with any name."""
        accounts = self.accounts.current
        token = accounts.find_token(login.password, self._clock())
        if token is not None:
            return _describe_token(token)
        refuse_tokens(login.name)
        user = accounts.users.get(login.name)
        stored = "" if user is None else user.password
        check = self._passwords.is_right(login.name, login.password, stored, address)
        if not await check or user is None:
            raise CredentialsWrong
        return Principal(user.name, user.groups, Proof.PASSWORD)

    def _check_token(self, text: str) -> Principal:
        token = self.accounts.current.find_token(text, self._clock())
        if token is None:
            raise CredentialsWrong
        return _describe_token(token)

    def _check_bearer(self, text: str) -> Principal:
        statement = self._signer.read(text, self._clock())
        if statement is None:
            return self._check_token(text)
        until, repositories = statement.expires, statement.repositories
        if not statement.name:
            return replace(ANONYMOUS, expires=until, repositories=repositories)
        account = _find_account(self.accounts.current, statement, self._clock())
        if account is None:
            raise CredentialsWrong
        if isinstance(account, Token):
            until = min(until, account.expires)
            return replace(_describe_token(account), expires=until, repositories=repositories)
        return Principal(account.name, account.groups, Proof.PASSWORD, until, repositories)

    async def wait_for_token(self, address: str | None) -> None:
        """Wait before a token is signed, if an address has asked for very many."""
        if self._tokens.take(address or "") is None:
            await asyncio.sleep(DELAY)

    def sign(self, principal: Principal, repositories: Collection[str]) -> tuple[str, float]:
        """Return a token for these repositories, and for how many seconds it can be used."""
        now = self._clock()
        expires = min(now + SIGNED_LIFE, principal.expires)
        account = self.accounts.current.find_by_name(principal.name)
        fingerprint = "" if account is None else account.fingerprint
        statement = Statement(principal.name, fingerprint, frozenset(repositories), expires)
        return self._signer.sign(statement), expires - now

    def follow(self, principal: Principal) -> KnownAccount:
        """Return what tells whether an answer to somebody may go on."""
        return KnownAccount(self.accounts, principal.name)

    def stamp(self, principal: Principal, surroundings: Surroundings) -> Stamp:
        """Return what has to stay as it is, so that the same bytes mean the same principal."""
        return Stamp(self.accounts.version, principal.expires, surroundings)

    def is_valid(self, stamp: Stamp, surroundings: Surroundings) -> bool:
        """Whether the bytes of a request still mean the same principal as at the time of `stamp`.

        It is asked before each answer that is repeated.
        """
        is_same = self.accounts.refresh() == stamp.version and self._clock() < stamp.expires
        return is_same and self._mean_same(surroundings, stamp.surroundings)

    def _mean_same(self, one: Surroundings, other: Surroundings) -> bool:
        """Whether two surroundings give the same certificate and the same groups."""
        if one == other:  # the usual case
            return True
        find, now = self._networks.find_groups, self._clock()
        is_same = one.find_certificate(now) == other.find_certificate(now)
        return is_same and find(one.place) == find(other.place)


def _describe_token(token: Token) -> Principal:
    return Principal(token.name, token.groups, Proof.TOKEN, token.expires)


def _find_account(accounts: Accounts, statement: Statement, now: float) -> User | Token | None:
    """Return the account of a statement, if it is still the same one."""
    account = accounts.find_by_name(statement.name)
    if account is None or account.fingerprint != statement.fingerprint:
        return None
    is_over = isinstance(account, Token) and now >= account.expires
    return None if is_over else account
