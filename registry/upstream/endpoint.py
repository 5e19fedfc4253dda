"""One endpoint of an upstream: requests with login, redirects and circuit breakers.

Every request of the pull API goes through `Endpoint.request`. It yields only answers with a status
of 2xx; other answers become errors of `registry.errors`.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx

from registry.errors import (
    Unknown,
    UpstreamDenied,
    UpstreamFaulty,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.oci.rate_limits import RateLimit
from registry.upstream.auth import Login
from registry.upstream.client import CONNECT, discard, send, translate_errors, write_request
from registry.upstream.failures import EndpointSuspended, RedirectBroken
from registry.upstream.health import Admission, EndpointHealth
from registry.upstream.rate_limit import read_rate_limit
from registry.upstream.redirects import MAX_REDIRECTS, follow, origin_of
from registry.upstream.request import Answer, Request, error_of

RecordLimit = Callable[[RateLimit], None]  # is called with each pull limit that is reported
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Endpoint:
    """One base URL of a registry, with its login and its circuit breakers.

    `note_limit` is called with each pull limit that the registry reports. `connect` is how many
    seconds a new connection may take.
    """

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        login: Login,
        clock: Callable[[], float],
        note_limit: RecordLimit,
    ) -> None:
        self.origin = origin_of(url)
        self.base = url.rstrip("/")
        self.connect = CONNECT
        self._client = client
        self._login = login
        self._clock = clock
        self._note_limit = note_limit
        self.health = EndpointHealth(self.origin, clock)

    @asynccontextmanager
    async def request(self, request: Request) -> AsyncIterator[Answer]:
        """Send a request, and yield the 2xx answer with its body unread.

        Raises:
            Unknown: the registry answers 404; `request.missing` makes the error.
            UpstreamThrottled, UpstreamDenied, UpstreamFaulty, UpstreamUnreachable: see these
                errors, and `EndpointHealth.admit`. They are also raised if reading the body fails
                inside the `async with`.
        """
        # Failures at the URL of an earlier redirect, and broken bodies, do not count as failures of
        # the endpoint: several of them at once must not open its breaker.
        is_conclusive = request.start_at is None
        admission = await self.health.admit(request) if is_conclusive else Admission()
        began = self._clock()
        try:
            with translate_errors(self.origin):
                answer = await self._exchange(request)
                if is_conclusive:
                    self.health.succeed(request)
                is_conclusive = False
                try:
                    yield answer
                finally:
                    close = discard if request.method == "HEAD" else httpx.Response.aclose
                    await close(answer.response)
        except UpstreamThrottled as error:
            self.health.throttle(request, error)
            raise
        except UpstreamUnreachable as error:
            if not is_conclusive:
                raise
            self.health.fail(request, error, began, is_probe=admission.probe is not None)
            if admission.was_failing:
                raise EndpointSuspended(error.endpoint, error.why, error.retry_after) from error
            raise
        except (Unknown, UpstreamDenied):
            # A clear refusal is a useful answer.
            if is_conclusive:
                self.health.succeed(request)
            raise
        finally:
            self.health.end(admission)

    async def _exchange(self, request: Request) -> Answer:
        """Log in, follow redirects, and return an answer of status 2xx."""
        # The URL of an earlier redirect is on another host, which must not get the login.
        is_own = request.start_at is None
        header = await self._login.prepare(request.repository) if is_own else None
        answer = await self._follow_redirects(request, header)
        if answer.response.status_code == 401 and answer.origin == self.origin:
            challenges = answer.response.headers.get_list("www-authenticate")
            await discard(answer.response)
            header = await self._login.answer(challenges, request.repository, header)
            if header is None:
                raise UpstreamDenied(self.origin, "asks for a login: private, or it does not exist")
            answer = await self._follow_redirects(request, header)
        try:
            self._check(request, answer)
        except BaseException:
            await discard(answer.response)
            raise
        return answer

    async def _follow_redirects(self, request: Request, header: str | None) -> Answer:
        url = request.start_at or f"{self.base}/v2/{request.path}"
        origin = origin_of(url) if request.start_at else self.origin
        for _ in range(MAX_REDIRECTS + 1):
            headers = dict(request.headers)
            # Only the endpoint's own origin gets the login, also after redirects.
            if header is not None and origin == self.origin:
                headers["Authorization"] = header
            response = await self._send(request, url, origin, headers)
            if response.status_code not in REDIRECTS:
                return Answer(response, url, origin)
            location = response.headers.get("location", "")
            await discard(response)
            url = follow(url, location)
            origin = origin_of(url)
        raise UpstreamFaulty(self.origin, f"redirects more than {MAX_REDIRECTS} times")

    async def _send(
        self, request: Request, url: str, origin: str, headers: Mapping[str, str]
    ) -> httpx.Response:
        written = write_request(
            self._client,
            request.method,
            url,
            headers,
            connect=self.connect,
            is_bulk=request.is_blob and request.method == "GET",
        )
        try:
            return await send(self._client, written, origin)
        except UpstreamUnreachable as error:
            if origin == self.origin:
                raise
            raise RedirectBroken(origin, error.why) from error

    def _check(self, request: Request, answer: Answer) -> None:
        response = answer.response
        if answer.origin == self.origin:
            limit = read_rate_limit(
                self.origin, self._login.identity, response.headers, time.time()
            )
            if limit is not None:
                self._note_limit(limit)
        if not 200 <= response.status_code < 300:
            raise error_of(request, answer, is_redirected=answer.origin != self.origin)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise UpstreamFaulty(answer.origin, "compresses content although asked not to")
