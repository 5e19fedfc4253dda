"""Login at an upstream: Basic, and Bearer tokens (distribution's token authentication)."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from registry.errors import UpstreamError, UpstreamFaulty, UpstreamUnreachable
from registry.logs import get_logger
from registry.settings.endpoints import server_of
from registry.upstream.credentials import Credentials, find_identity
from registry.upstream.learned import Facts
from registry.upstream.redirects import (
    USUAL,
    Choices,
    RedirectRules,
    is_web_address,
    leads_inside,
    list_choices,
    origin_of,
)
from registry.upstream.tokens import TokenCache, TokenKey
from registry.upstream.www_authenticate import Challenge, choose_challenge, read_scope

MAX_WARNED = 100  # hosts that are named in the log; an upstream may name one after the other


@dataclass(frozen=True, slots=True)
class _Way:
    """How to log in: by a token for `service` from one of `realms`, and by Basic if it is None.

    `scope` is that of the token.
    """

    realms: Choices | None = None
    service: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Authorization:
    """The login of one request: the value of its `Authorization` header (None: anonymous).

    `way` is how the value was obtained. If that way, which had worked before, now failed, there is
    no value, and `failure` says why.
    """

    header: str | None = field(default=None, repr=False)
    way: _Way | None = None
    failure: UpstreamError | None = None


class Login:
    """The login at one endpoint, as it last worked there.

    A challenge is followed at once, but only remembered after the endpoint has accepted what it led
    to: a captive portal answers in the name of each endpoint, and its challenges lead nowhere.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None,
        tokens: TokenCache,
        rules: RedirectRules = USUAL,
    ) -> None:
        self._url = url
        self.identity = find_identity(credentials, url)  # the user; empty for anonymous requests
        self._origin = origin_of(url)
        self._credentials = credentials
        # A valid token allows the same as the password. So an endpoint that must not get the
        # credentials (an accelerator) only gets anonymous tokens.
        self._is_trusted = credentials is not None and credentials.may_be_sent_to(url)
        self._tokens = tokens
        self._rules = rules
        self._way: _Way | None = None
        # The scopes that challenges named: behind a proxy, a repository may have another name.
        self._scopes = Facts[str, str](tokens.clock)
        self._answering = Facts[tuple[str, ...], str](
            tokens.clock
        )  # the realm of several that answers
        self._warned: set[str] = set()
        self._log = get_logger("registry.upstream")

    @property
    def has_way(self) -> bool:
        """Whether it is known how to log in."""
        return self._way is not None

    async def prepare(self, repository: str) -> Authorization:
        """Return the login for a new request about `repository`; anonymous if none is known.

        If the known way fails, the request is sent anonymously: the endpoint may know another way,
        or ask for no login any more.
        """
        if self._way is None:
            return Authorization()
        way = replace(self._way, scope=self._find_scope(repository))
        try:
            return Authorization(await self._authorize(way), way)
        except UpstreamError as failure:
            is_current = self._way is not None and self._way.realms == way.realms
            if is_current and isinstance(failure, UpstreamUnreachable | UpstreamFaulty):
                self._way = None  # otherwise the next request would wait for it too
            return Authorization(None, way, failure)

    async def answer(
        self,
        challenges: Iterable[Challenge],
        repository: str,
        former: Authorization,
        *,
        has_scope: bool = True,
        peer: str = "",
    ) -> Authorization | None:
        """Return the login for a repeated request after a 401; None if there is no other.

        `former` is the login that was refused. `has_scope` says that the challenge is about this
        repository, and so is its scope. `peer` is the address that sent it (empty: not known).

        Raises:
            UpstreamFaulty: the realm of a challenge is not the address of a token service.
            UpstreamError: as for `TokenCache.get`; or the way is the one that has just failed.
        """
        has_credentials = self._credentials is not None
        challenge = choose_challenge(challenges, has_credentials=has_credentials)
        if challenge is None:
            return None
        way = _Way()
        if challenge.scheme == "bearer":
            scope = read_scope(challenge) if has_scope else ""
            way = self._read_bearer(challenge, scope or self._find_scope(repository), peer)
            self._drop_token(way, former.header)
        if former.failure is not None and way == former.way:
            raise former.failure
        header = await self._authorize(way)
        return None if header == former.header else Authorization(header, way)

    def learn(self, authorization: Authorization, repository: str) -> None:
        """Remember how a login was obtained that the endpoint has accepted."""
        way = self._way = authorization.way
        if way is not None and way.scope not in ("", _usual_scope(repository)):
            self._scopes.learn(repository, way.scope)
        else:
            self._scopes.forget(repository)

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

    async def _authorize(self, way: _Way) -> str | None:
        if way.realms is None:
            # There is no token service: Basic credentials are sent to the endpoint itself.
            known = self._credentials_for(self._url)
            return known.basic() if known else None
        answering = self._answering.find(way.realms.urls)
        *others, last = (answering,) if answering else way.realms.urls
        for realm in others:
            try:
                return await self._fetch_token(way, realm)
            except UpstreamUnreachable:
                continue  # the same service without TLS, which the settings allow
        try:
            header = await self._fetch_token(way, last)
        except UpstreamUnreachable as error:
            self._answering.forget(way.realms.urls)
            if not way.realms.why_not:
                raise
            why = f"its token realm is not https: {way.realms.why_not}; https: {error.why}"
            raise UpstreamFaulty(self._origin, why) from error
        if others:
            self._answering.learn(way.realms.urls, last)
        return header

    async def _fetch_token(self, way: _Way, realm: str) -> str:
        credentials = self._credentials_for(realm)
        reach = None if way.realms is None else way.realms.reach
        return await self._tokens.get(self._key(way, realm), credentials, reach)

    def _drop_token(self, way: _Way, refused: str | None) -> None:
        for realm in way.realms.urls if way.realms and refused is not None else ():
            self._tokens.drop(self._key(way, realm), refused or "")

    def _read_bearer(self, challenge: Challenge, scope: str, peer: str) -> _Way:
        realm = challenge.parameters["realm"]
        if not is_web_address(realm):
            raise UpstreamFaulty(self._origin, "its token realm is not a web address")
        reach = self._rules.find_reach(self._url, peer)
        if leads_inside(realm, reach):
            how = self._rules.explain("allow_private_redirects")
            raise UpstreamFaulty(self._origin, f"its token realm is a private address; {how}")
        choices = list_choices(self._url, realm, self._rules)
        if not choices.urls:
            raise UpstreamFaulty(self._origin, f"its token realm is not https: {choices.why_not}")
        realms = Choices(choices.urls, choices.why_not, reach)
        return _Way(realms, challenge.parameters.get("service", ""), scope)

    def _credentials_for(self, url: str) -> Credentials | None:
        if self._credentials is None:
            return None
        if self._is_trusted and self._credentials.may_be_sent_to(url):
            return self._credentials
        refused = url if self._is_trusted else self._url
        unknown = server_of(refused)
        if unknown not in self._warned and len(self._warned) < MAX_WARNED:
            self._warned.add(unknown)
            self._log.warning(
                "credentials withheld from an unknown host",
                endpoint=self._origin,
                host=unknown,
                cure=self._credentials.advise(refused),
            )
        return None

    def _find_scope(self, repository: str) -> str:
        return self._scopes.find(repository) or _usual_scope(repository)

    def _key(self, way: _Way, realm: str) -> TokenKey:
        return TokenKey(realm, way.service, way.scope, self.identity)


def _usual_scope(repository: str) -> str:
    return f"repository:{repository}:pull"
