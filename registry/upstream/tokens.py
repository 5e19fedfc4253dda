"""Tokens of one upstream: how they are fetched, and how long they are kept."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from registry.errors import (
    UpstreamDenied,
    UpstreamFaulty,
    UpstreamLoop,
    UpstreamUnreachable,
)
from registry.upstream.addresses import Reach
from registry.upstream.client import translate_errors
from registry.upstream.credentials import Credentials
from registry.upstream.documents import read_json
from registry.upstream.failures import TokensThrottled
from registry.upstream.rate_limit import read_retry_after
from registry.upstream.redirects import origin_of
from registry.upstream.request import decode_document
from registry.upstream.statuses import LOOP_DETECTED
from registry.upstream.transport import REACH

MAX_TOKEN_BODY = 1024 * 1024  # bytes
MAX_TOKEN = 32 * 1024  # characters, as it is sent in a header
SHORTEST_LIFE = 60.0  # seconds: the default and the minimum of the token specification
LONGEST_LIFE = 24 * 3600.0  # seconds, whatever a token service promises
MAX_TOKENS = 1000  # in the cache, one for each repository; clients may ask for many names
MAX_TOKEN_SIZES = 4 * 1024 * 1024  # characters of all tokens in the cache, with what they are for
RENEW_AT = 0.8  # of the life of a token
FETCH_BUDGET = 20.0  # seconds for one token; a question has 25 seconds


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What a token is for: realm, service, scope and user name. It is sent for this key only."""

    realm: str
    service: str
    scope: str
    identity: str

    @property
    def size(self) -> int:
        """How many characters it has."""
        return len(self.realm) + len(self.service) + len(self.scope) + len(self.identity)


@dataclass(frozen=True, slots=True)
class _Token:
    header: str = field(repr=False)
    renew_at: float


class TokenCache:
    """Tokens of one upstream; requests that need the same token fetch it once (single-flight)."""

    def __init__(self, client: httpx.AsyncClient, clock: Callable[[], float]) -> None:
        self._client = client
        self.clock = clock
        self._tokens: dict[TokenKey, asyncio.Task[_Token]] = {}

    async def get(
        self, key: TokenKey, credentials: Credentials | None, reach: Reach | None = None
    ) -> str:
        """Return the `Authorization` value for `key`.

        `reach` is how far inside the connection to the token service may lead (None: anywhere).

        Raises:
            UpstreamDenied: the credentials were refused.
            UpstreamThrottled, UpstreamUnreachable, UpstreamFaulty: the service gave no token.
        """
        task = self._tokens.get(key)
        if task is None or self._is_expired(task):
            task = asyncio.create_task(self._fetch(key, credentials, reach))
            task.add_done_callback(lambda _: self._evict_tokens(0))
            self._evict_tokens(1)
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

    def _evict_tokens(self, wanted: int) -> None:
        """Make room for `wanted` tokens: without what has expired, then without the least used."""
        sizes = {key: self._find_size(key, task) for key, task in self._tokens.items()}
        total, most = sum(sizes.values()), MAX_TOKENS - wanted
        if len(sizes) <= most and total <= MAX_TOKEN_SIZES:
            return
        for key in [key for key, task in self._tokens.items() if self._is_expired(task)]:
            total -= sizes[key]
            del self._tokens[key]
        while len(self._tokens) > most or total > MAX_TOKEN_SIZES:
            key = next(iter(self._tokens))
            total -= sizes[key]
            del self._tokens[key]

    def _find_size(self, key: TokenKey, task: asyncio.Task[_Token]) -> int:
        """Return the characters of a key and its token, which are not known while it comes."""
        is_there = task.done() and not task.cancelled() and task.exception() is None
        return key.size + (len(task.result().header) if is_there else 0)

    def _is_expired(self, task: asyncio.Task[_Token]) -> bool:
        if not task.done():
            return False
        failed = task.cancelled() or task.exception() is not None
        return failed or task.result().renew_at <= self.clock()

    async def _fetch(
        self, key: TokenKey, credentials: Credentials | None, reach: Reach | None
    ) -> _Token:
        origin = origin_of(key.realm)
        try:
            # Not the time of a client that waits: it may leave, and the task goes on.
            async with asyncio.timeout(FETCH_BUDGET):
                document = await self._fetch_document(key, credentials, reach)
        except TimeoutError as error:
            why = f"the token service gave no token within {FETCH_BUDGET:.0f} s"
            raise UpstreamUnreachable(origin, why) from error
        token, life = _read_token(origin, document)
        return _Token(f"Bearer {token}", self.clock() + RENEW_AT * life)

    async def _fetch_document(
        self, key: TokenKey, credentials: Credentials | None, reach: Reach | None
    ) -> bytes:
        origin = origin_of(key.realm)
        headers = {} if credentials is None else {"Authorization": credentials.basic()}
        options: dict[str, Any] = {"headers": headers, "extensions": {REACH: reach}}
        with translate_errors(origin):
            async with self._client.stream("GET", _write_url(key), **options) as response:
                _check_token_status(key, credentials, response)
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_TOKEN_BODY:
                        raise UpstreamFaulty(origin, "its token answer is too long")
        return decode_document(origin, response.headers, bytes(body), MAX_TOKEN_BODY)


def _write_url(key: TokenKey) -> httpx.URL:
    # A challenge may name several scopes, which are sent as one parameter each.
    url = httpx.URL(key.realm)
    params = url.params.set("service", key.service) if key.service else url.params
    for scope in key.scope.split():
        params = params.add("scope", scope)
    return url.copy_with(params=params)


def _check_token_status(
    key: TokenKey, credentials: Credentials | None, response: httpx.Response
) -> None:
    origin, status = origin_of(key.realm), response.status_code
    if status == 200:
        return
    if status in (401, 403):
        raise UpstreamDenied(origin, _describe_refusal(status, credentials))
    if status == 400:
        raise UpstreamDenied(origin, f"the token service answers 400 to the scope {key.scope!r}")
    if status == 429:
        retry_after = read_retry_after(response.headers)
        raise TokensThrottled(
            origin, "the token service answers 429: too many requests", retry_after
        )
    if status == LOOP_DETECTED:
        raise UpstreamLoop(origin)
    if status >= 500:
        raise UpstreamUnreachable(origin, f"the token service answers {status}")
    raise UpstreamFaulty(origin, f"the token service answers {status}")


def _describe_refusal(status: int, credentials: Credentials | None) -> str:
    if credentials is None:
        why = f"the token service refuses anonymous clients ({status})"
        return f"{why}: private, or it does not exist"
    why = f"the token service refuses the login of {credentials.username!r} ({status})"
    return f"{why}; check username and password_file"


def _read_token(origin: str, body: bytes) -> tuple[str, float]:
    try:
        answer = read_json(body)
        token = answer.get("token") or answer.get("access_token")
        life = float(answer.get("expires_in") or SHORTEST_LIFE)
    except (ValueError, AttributeError, TypeError, OverflowError) as error:
        raise UpstreamFaulty(
            origin, "its token answer is not JSON with a token (a captive portal?)"
        ) from error
    # The token is sent in a header, so it must not contain a line break.
    is_usable = isinstance(token, str) and token.isascii() and token.isprintable()
    if not is_usable or len(token) > MAX_TOKEN or math.isnan(life):
        raise UpstreamFaulty(origin, "its token answer has no usable token")
    return token, min(max(life, SHORTEST_LIFE), LONGEST_LIFE)
