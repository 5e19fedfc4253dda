"""Login at an upstream: Basic, and Bearer tokens (distribution's token authentication)."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import structlog

from registry.errors import UpstreamDenied, UpstreamFaulty, UpstreamThrottled, UpstreamUnreachable
from registry.upstream.client import translate_errors
from registry.upstream.credentials import Credentials, find_identity
from registry.upstream.rate_limit import read_retry_after
from registry.upstream.redirects import leads_inside, origin_of
from registry.upstream.www_authenticate import Challenge, parse_challenges

MAX_TOKEN_BODY = 1024 * 1024  # bytes
SHORTEST_LIFE = 60.0  # seconds: the default and the minimum of the token specification
MAX_TOKENS = 1000  # in the cache, one for each repository; clients may ask for many names
RENEW_AT = 0.8  # of the life of a token


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What a token is for: realm, service, scope and user name. It is sent for this key only."""

    realm: str
    service: str
    scope: str
    identity: str


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    renew_at: float


class TokenCache:
    """Tokens of one upstream; requests that need the same token fetch it once (single-flight)."""

    def __init__(self, client: httpx.AsyncClient, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._tokens: dict[TokenKey, asyncio.Task[_Token]] = {}

    async def get(self, key: TokenKey, credentials: Credentials | None) -> str:
        """Return the `Authorization` value for `key`.

        Raises:
            UpstreamDenied: the credentials were refused.
            UpstreamThrottled, UpstreamUnreachable, UpstreamFaulty: the service gave no token.
        """
        task = self._tokens.get(key)
        if task is None or self._is_expired(task):
            task = asyncio.create_task(self._fetch(key, credentials))
            self._evict_tokens()
        self._tokens.pop(key, None)
        self._tokens[key] = task  # at the end, as the last used
        # Shielded, because other requests may wait for the same token.
        return (await asyncio.shield(task)).header

    def drop(self, key: TokenKey, header: str) -> None:
        """Delete a refused token from the cache, unless the cache already has a newer token."""
        task = self._tokens.get(key)
        is_current = task is not None and task.done() and not self._is_expired(task)
        if task is not None and is_current and task.result().header == header:
            del self._tokens[key]

    def _evict_tokens(self) -> None:
        if len(self._tokens) < MAX_TOKENS:
            return
        for key in [key for key, task in self._tokens.items() if self._is_expired(task)]:
            del self._tokens[key]
        while len(self._tokens) >= MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]

    def _is_expired(self, task: asyncio.Task[_Token]) -> bool:
        if not task.done():
            return False
        failed = task.cancelled() or task.exception() is not None
        return failed or task.result().renew_at <= self._clock()

    async def _fetch(self, key: TokenKey, credentials: Credentials | None) -> _Token:
        query = {"service": key.service, "scope": key.scope}
        headers = {} if credentials is None else {"Authorization": credentials.basic()}
        origin = origin_of(key.realm)
        with translate_errors(origin):
            url = httpx.URL(key.realm).copy_merge_params({k: v for k, v in query.items() if v})
            async with self._client.stream("GET", url, headers=headers) as response:
                _check_token_status(origin, response)
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_TOKEN_BODY:
                        raise UpstreamFaulty(origin, "its token answer is too long")
        token, life = _read_token(origin, bytes(body))
        return _Token(f"Bearer {token}", self._clock() + RENEW_AT * max(life, SHORTEST_LIFE))


def _check_token_status(origin: str, response: httpx.Response) -> None:
    if response.status_code in (401, 403):
        raise UpstreamDenied(origin, "the token service refuses the credentials; check username")
    if response.status_code == 429:
        retry_after = read_retry_after(response.headers)
        raise UpstreamThrottled(
            origin, "the token service answers 429: too many requests", retry_after
        )
    if response.status_code >= 500:
        raise UpstreamUnreachable(origin, f"the token service answers {response.status_code}")
    if response.status_code != 200:
        raise UpstreamFaulty(origin, f"the token service answers {response.status_code}")


def _read_token(origin: str, body: bytes) -> tuple[str, float]:
    try:
        answer = json.loads(body)
        token = answer.get("token") or answer.get("access_token")
        life = float(answer.get("expires_in") or SHORTEST_LIFE)
    except (ValueError, AttributeError, TypeError) as error:
        raise UpstreamFaulty(
            origin, "its token answer is not JSON with a token (a captive portal?)"
        ) from error
    # The token is sent in a header, so it must not contain a line break.
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise UpstreamFaulty(origin, "its token answer has no usable token")
    return token, life


class Login:
    """The login at one endpoint, according to the last challenge of the endpoint."""

    def __init__(self, url: str, credentials: Credentials | None, tokens: TokenCache) -> None:
        self.identity = find_identity(credentials, url)  # the user; empty for anonymous requests
        self._host = urlsplit(url).hostname or ""
        self._is_plain = url.startswith("http://")
        self._origin = origin_of(url)
        self._credentials = credentials
        # A valid token allows the same as the password. So an endpoint that must not get the
        # credentials (an accelerator) only gets anonymous tokens.
        self._is_trusted = credentials is not None and self._host in credentials.hosts
        self._tokens = tokens
        self._challenge: Challenge | None = None
        self._warned: set[str] = set()
        self._log = structlog.get_logger("registry.upstream")

    async def prepare(self, repository: str) -> str | None:
        """Return the `Authorization` value for a new request about `repository`.

        None if the endpoint has not sent a challenge yet. Raises the errors of `TokenCache.get`.
        """
        if self._challenge is None:
            return None
        return await self._authorize(self._challenge, repository)

    async def answer(
        self, headers: Iterable[str], repository: str, refused: str | None
    ) -> str | None:
        """Return the `Authorization` value for a repeated request after a 401.

        `headers` are the challenges, and `refused` is the value that was sent before. None if
        there is no other value.

        Raises:
            UpstreamFaulty: the realm of a challenge is not the address of a token service.
            UpstreamError: as for `TokenCache.get`.
        """
        has_credentials = self._credentials is not None
        challenge = _choose(parse_challenges(headers), has_credentials=has_credentials)
        if challenge is None:
            return None
        if challenge.scheme == "bearer":
            self._check_realm(challenge.parameters["realm"])
            if refused is not None:
                self._tokens.drop(self._key(challenge, repository), refused)
        self._challenge = challenge
        header = await self._authorize(challenge, repository)
        return None if header == refused else header

    async def _authorize(self, challenge: Challenge, repository: str) -> str | None:
        if challenge.scheme == "basic":
            # There is no token service: Basic credentials are sent to the endpoint itself.
            known = self._credentials_for(self._host)
            return known.basic() if known else None
        realm = urlsplit(challenge.parameters["realm"])
        credentials = self._credentials_for(realm.hostname or "")
        return await self._tokens.get(self._key(challenge, repository), credentials)

    def _check_realm(self, realm: str) -> None:
        try:
            parts = urlsplit(realm)
        except ValueError as error:
            raise UpstreamFaulty(self._origin, "its token realm is not a web address") from error
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise UpstreamFaulty(self._origin, "its token realm is not a web address")
        if parts.scheme == "http" and not self._is_plain:
            raise UpstreamFaulty(self._origin, "its token realm is not https")
        if leads_inside(self._origin, realm):
            raise UpstreamFaulty(self._origin, "its token realm is a private address")

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

    def _key(self, challenge: Challenge, repository: str) -> TokenKey:
        parameters = challenge.parameters
        scope = f"repository:{repository}:pull"
        return TokenKey(parameters["realm"], parameters.get("service", ""), scope, self.identity)


def _choose(challenges: list[Challenge], *, has_credentials: bool) -> Challenge | None:
    for challenge in challenges:
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return challenge
    for challenge in challenges:
        if challenge.scheme == "basic" and has_credentials:
            return challenge
    return None
