"""Logging in to an upstream: Basic, and Bearer tokens (distribution's token authentication)."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import structlog

from registry.errors import UpstreamDenied, UpstreamFaulty, UpstreamThrottled, UpstreamUnreachable
from registry.upstream.client import translate_errors
from registry.upstream.credentials import Credentials
from registry.upstream.rate_limit import read_retry_after
from registry.upstream.redirects import leads_inside, origin_of
from registry.upstream.www_authenticate import Challenge, parse_challenges

MAX_TOKEN_BODY = 1024 * 1024  # bytes
SHORTEST_LIFE = 60.0  # seconds; the default and the minimum that the token specification names
MAX_TOKENS = 1000  # in the cache: one per repository, and names are any client's to invent
RENEW_AT = 0.8  # of a token's life


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What a token is good for; a token never serves another key."""

    realm: str
    service: str
    scope: str
    identity: str


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    renew_at: float


class TokenCache:
    """Tokens of one upstream, each fetched once however many ask for it at the same time."""

    def __init__(self, client: httpx.AsyncClient, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._tokens: dict[TokenKey, asyncio.Task[_Token]] = {}

    async def get(self, key: TokenKey, credentials: Credentials | None) -> str:
        """Return the `Authorization` value for `key`.

        Raises:
            UpstreamDenied: the credentials were refused.
            UpstreamThrottled, UpstreamUnreachable, UpstreamFaulty: no token to be had now.
        """
        task = self._tokens.get(key)
        if task is None or self._is_spent(task):
            task = asyncio.create_task(self._fetch(key, credentials))
            self._make_room()
        self._tokens.pop(key, None)
        self._tokens[key] = task  # used last
        # Shielded: one asker who leaves must not take the token from the others.
        return (await asyncio.shield(task)).header

    def drop(self, key: TokenKey, header: str) -> None:
        """Forget a token that was refused, unless it has been renewed since."""
        task = self._tokens.get(key)
        is_current = task is not None and task.done() and not self._is_spent(task)
        if task is not None and is_current and task.result().header == header:
            del self._tokens[key]

    def _make_room(self) -> None:
        if len(self._tokens) < MAX_TOKENS:
            return
        for key in [key for key, task in self._tokens.items() if self._is_spent(task)]:
            del self._tokens[key]
        while len(self._tokens) >= MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]

    def _is_spent(self, task: asyncio.Task[_Token]) -> bool:
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
                        raise UpstreamFaulty(origin, "its token answer has no end")
        token, life = _read_token(origin, bytes(body))
        return _Token(f"Bearer {token}", self._clock() + RENEW_AT * max(life, SHORTEST_LIFE))


def _check_token_status(origin: str, response: httpx.Response) -> None:
    if response.status_code in (401, 403):
        raise UpstreamDenied(origin, "the token service refuses the credentials; check username")
    if response.status_code == 429:
        retry_after = read_retry_after(response.headers)
        raise UpstreamThrottled(origin, "the token service says: too many requests", retry_after)
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
        raise UpstreamFaulty(origin, "its token answer is not one (a portal page?)") from error
    # It goes into a header of ours, so it must not be able to end one.
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise UpstreamFaulty(origin, "its token answer has no usable token")
    return token, life


class Login:
    """How to log in at one endpoint, learnt from its challenges."""

    def __init__(self, url: str, credentials: Credentials | None, tokens: TokenCache) -> None:
        self._host = urlsplit(url).hostname or ""
        self._is_plain = url.startswith("http://")
        self._origin = origin_of(url)
        self._credentials = credentials
        # A token that our name obtained is as good as the password for as long as it lives, so an
        # endpoint that may not be told the one (an accelerator) gets an anonymous one only.
        self._is_told = credentials is not None and self._host in credentials.hosts
        self._tokens = tokens
        self._way: Challenge | None = None
        self._warned: set[str] = set()
        self._log = structlog.get_logger("registry.upstream")

    @property
    def identity(self) -> str:
        """Who we are here; empty when anonymous."""
        return self._credentials.username if self._credentials and self._is_told else ""

    async def prepare(self, scope: str) -> str | None:
        """Return the header to send at once, from what an earlier challenge taught."""
        if self._way is None:
            return None
        return await self._respond(self._way, scope)

    async def answer(self, headers: Iterable[str], scope: str, refused: str | None) -> str | None:
        """Return the header that answers a 401; None when there is nothing better to send.

        `refused` is the header that the 401 refused. Raises as `TokenCache.get` does.
        """
        way = _choose(parse_challenges(headers), has_credentials=self._credentials is not None)
        if way is None:
            return None
        self._way = way
        if refused is not None and way.scheme == "bearer":
            self._tokens.drop(self._key(way, scope), refused)
        header = await self._respond(way, scope)
        return None if header == refused else header

    async def _respond(self, way: Challenge, scope: str) -> str | None:
        if way.scheme == "basic":
            # No realm to ask: Basic credentials go to the endpoint itself.
            known = self._credentials_for(self._host)
            return known.basic() if known else None
        try:
            realm = urlsplit(way.parameters["realm"])
        except ValueError as error:
            raise UpstreamFaulty(self._origin, "its token realm is not a web address") from error
        if realm.scheme not in ("https", "http") or not realm.hostname:
            raise UpstreamFaulty(self._origin, "its token realm is not a web address")
        if realm.scheme == "http" and not self._is_plain:
            raise UpstreamFaulty(self._origin, "its token realm is not https")
        if leads_inside(self._origin, way.parameters["realm"]):
            raise UpstreamFaulty(self._origin, "its token realm is a private address")
        return await self._tokens.get(self._key(way, scope), self._credentials_for(realm.hostname))

    def _credentials_for(self, host: str) -> Credentials | None:
        if self._credentials is None:
            return None
        if self._is_told and host in self._credentials.hosts:
            return self._credentials
        unknown = host if self._is_told else self._host
        if unknown not in self._warned:
            self._warned.add(unknown)
            self._log.warning(
                "credentials withheld from an unknown host",
                endpoint=self._origin,
                host=unknown,
                cure="add it to auth_realms of this upstream if you trust it",
            )
        return None

    def _key(self, way: Challenge, scope: str) -> TokenKey:
        parameters = way.parameters
        return TokenKey(parameters["realm"], parameters.get("service", ""), scope, self.identity)


def _choose(challenges: list[Challenge], *, has_credentials: bool) -> Challenge | None:
    for challenge in challenges:
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return challenge
    for challenge in challenges:
        if challenge.scheme == "basic" and has_credentials:
            return challenge
    return None
