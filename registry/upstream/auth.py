"""Login at an upstream: Basic, and Bearer tokens (distribution's token authentication)."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from registry.errors import UpstreamFaulty, UpstreamUnreachable
from registry.upstream.credentials import Credentials, find_identity
from registry.upstream.learned import Facts
from registry.upstream.redirects import (
    USUAL,
    Choices,
    RedirectRules,
    leads_inside,
    list_choices,
    origin_of,
)
from registry.upstream.tokens import TokenCache, TokenKey
from registry.upstream.www_authenticate import Challenge, choose_challenge, read_scope


@dataclass(frozen=True, slots=True)
class _Way:
    """How to log in: by a token for `service` from one of `realms`, and by Basic if it is None."""

    realms: Choices | None = None
    service: str = ""


class Login:
    """The login at one endpoint, according to the last challenge of the endpoint."""

    def __init__(
        self,
        url: str,
        credentials: Credentials | None,
        tokens: TokenCache,
        rules: RedirectRules = USUAL,
    ) -> None:
        self._url = url
        self.identity = find_identity(credentials, url)  # the user; empty for anonymous requests
        self._host = urlsplit(url).hostname or ""
        self._origin = origin_of(url)
        self._credentials = credentials
        # A valid token allows the same as the password. So an endpoint that must not get the
        # credentials (an accelerator) only gets anonymous tokens.
        self._is_trusted = credentials is not None and self._host in credentials.hosts
        self._tokens = tokens
        self._rules = rules
        self._way: _Way | None = None
        # The scopes that challenges named: behind a proxy, a repository may have another name.
        self._scopes = Facts[str, str](tokens.clock)
        self._answering = Facts[tuple[str, ...], str](
            tokens.clock
        )  # the realm of several that answers
        self._warned: set[str] = set()
        self._log = structlog.get_logger("registry.upstream")

    @property
    def has_challenge(self) -> bool:
        """Whether the endpoint has said how to log in."""
        return self._way is not None

    async def prepare(self, repository: str) -> str | None:
        """Return the `Authorization` value for a new request about `repository`.

        None if the endpoint has not sent a challenge yet. Raises the errors of `TokenCache.get`.
        """
        return None if self._way is None else await self._authorize(self._way, repository)

    async def answer(
        self,
        challenges: Iterable[Challenge],
        repository: str,
        refused: str | None,
        *,
        has_scope: bool = True,
    ) -> str | None:
        """Return the `Authorization` value for a repeated request after a 401.

        `refused` is the value that was sent before. `has_scope` says that the challenge is about
        this repository, and so is its scope. None if there is no other value.

        Raises:
            UpstreamFaulty: the realm of a challenge is not the address of a token service.
            UpstreamError: as for `TokenCache.get`.
        """
        has_credentials = self._credentials is not None
        challenge = choose_challenge(challenges, has_credentials=has_credentials)
        if challenge is None:
            return None
        way = _Way()
        if challenge.scheme == "bearer":
            way = self._read_bearer(challenge)
            if has_scope and (scope := read_scope(challenge)):
                self._scopes.learn(repository, scope)
            self._drop_token(way, repository, refused)
        self._way = way
        header = await self._authorize(way, repository)
        return None if header == refused else header

    def describe_missing(self, challenges: Iterable[Challenge]) -> str:
        """Return why there is no login that answers these challenges."""
        schemes = sorted({challenge.scheme for challenge in challenges})
        if not schemes:
            return "asks for a login (401), but neither here nor at /v2/ does it say which"
        if "basic" not in schemes:
            return f"asks for a login of a kind that is not supported: {', '.join(schemes)[:100]}"
        if self._credentials is None:
            return "asks for a login with a password (401): set username and password_file"
        return "asks for a login (401), and its host may not get the password: see auth_realms"

    async def _authorize(self, way: _Way, repository: str) -> str | None:
        if way.realms is None:
            # There is no token service: Basic credentials are sent to the endpoint itself.
            known = self._credentials_for(self._host)
            return known.basic() if known else None
        answering = self._answering.find(way.realms.urls)
        *others, last = (answering,) if answering else way.realms.urls
        for realm in others:
            try:
                return await self._fetch_token(way, realm, repository)
            except UpstreamUnreachable:
                continue  # the same service without TLS, which the settings allow
        try:
            header = await self._fetch_token(way, last, repository)
        except UpstreamUnreachable as error:
            if not way.realms.why_not:
                raise
            why = f"its token realm is not https: {way.realms.why_not}; https: {error.why}"
            raise UpstreamFaulty(self._origin, why) from error
        if others:
            self._answering.learn(way.realms.urls, last)
        return header

    async def _fetch_token(self, way: _Way, realm: str, repository: str) -> str:
        credentials = self._credentials_for(urlsplit(realm).hostname or "")
        return await self._tokens.get(self._key(way, realm, repository), credentials)

    def _drop_token(self, way: _Way, repository: str, refused: str | None) -> None:
        for realm in way.realms.urls if way.realms and refused is not None else ():
            self._tokens.drop(self._key(way, realm, repository), refused or "")

    def _read_bearer(self, challenge: Challenge) -> _Way:
        realm = challenge.parameters["realm"]
        try:
            parts = urlsplit(realm)
            is_address = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address or parts.scheme not in ("https", "http"):
            raise UpstreamFaulty(self._origin, "its token realm is not a web address")
        if leads_inside(self._url, realm, self._rules):
            how = self._rules.explain("allow_private_redirects")
            raise UpstreamFaulty(self._origin, f"its token realm is a private address; {how}")
        choices = list_choices(self._url, realm, self._rules)
        if not choices.urls:
            raise UpstreamFaulty(self._origin, f"its token realm is not https: {choices.why_not}")
        return _Way(choices, challenge.parameters.get("service", ""))

    def _credentials_for(self, host: str) -> Credentials | None:
        if self._credentials is None:
            return None
        if self._is_trusted and host in self._credentials.hosts:
            return self._credentials
        unknown = host if self._is_trusted else self._host
        if unknown not in self._warned:
            self._warned.add(unknown)
            self._log.warning(
                "credentials withheld from an unknown host",
                endpoint=self._origin,
                host=unknown,
                cure="add it to auth_realms of this upstream if you trust it",
            )
        return None

    def _key(self, way: _Way, realm: str, repository: str) -> TokenKey:
        scope = self._scopes.find(repository) or f"repository:{repository}:pull"
        return TokenKey(realm, way.service, scope, self.identity)
