"""One endpoint of an upstream: requests with login, redirects and circuit breakers.

Every request of the pull API goes through `Endpoint.request`. It yields only answers with a status
of 2xx; other answers become errors of `registry.errors`.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

import httpx

from registry.errors import (
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.oci.rate_limits import RateLimit
from registry.settings.endpoints import split_endpoint
from registry.upstream.auth import Login
from registry.upstream.client import CONNECT, discard, translate_errors
from registry.upstream.exchange import Exchange
from registry.upstream.failures import EndpointSuspended
from registry.upstream.health import Admission, EndpointHealth
from registry.upstream.learned import Learned
from registry.upstream.measurements import Measurements
from registry.upstream.rate_limit import read_rate_limit
from registry.upstream.redirects import USUAL, RedirectRules, origin_of
from registry.upstream.request import Answer, Request, error_of

RecordLimit = Callable[[RateLimit], None]  # is called with each pull limit that is reported
# Every request that counts against the pull limit is sent inside of one of these.
SpendPull = Callable[[], AbstractAsyncContextManager[None]]


class Endpoint:
    """One base URL of a registry, with its login and its circuit breakers.

    `note_limit` is called with each pull limit that the registry reports, and `spend_pull` allows
    requests that count against it. `connect` is how many seconds a new connection may take.
    `learned` is what its answers have shown, and `measured` what is known of how it delivers.
    """

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        login: Login,
        clock: Callable[[], float],
        note_limit: RecordLimit,
        *,
        rules: RedirectRules = USUAL,
        spend_pull: SpendPull = nullcontext,
    ) -> None:
        base, prefix = split_endpoint(url)
        self.url = url
        self.origin = origin_of(base)
        self.connect = CONNECT
        self.health = EndpointHealth(self.origin, clock)
        self.learned = Learned(clock)
        self.measured = Measurements()
        self._exchange = Exchange(base, prefix, client, login, clock=clock, rules=rules)
        self._login = login
        self._clock = clock
        self._note_limit = note_limit
        self._spend_pull = spend_pull

    @property
    def connected_at(self) -> float:
        """When a request last had a connection (seconds of the event loop's clock)."""
        return self._exchange.connected_at

    @asynccontextmanager
    async def request(self, request: Request) -> AsyncIterator[Answer]:
        """Send a request, and yield the 2xx answer with its body unread.

        Raises:
            Unknown: the registry answers 404; `request.missing` makes the error.
            PullsReserved: the request counts, and `spend_pull` does not allow it.
            UpstreamThrottled, UpstreamDenied, UpstreamFaulty, UpstreamUnreachable: see these
                errors, and `EndpointHealth.admit`. They are also raised if reading the body fails
                inside the `async with`.
        """
        allowed = self._spend_pull() if request.counts else nullcontext()
        async with allowed, self._request(request) as answer:
            yield answer

    @asynccontextmanager
    async def _request(self, request: Request) -> AsyncIterator[Answer]:
        # Failures at the URL of an earlier redirect, and broken bodies, do not count as failures of
        # the endpoint: several of them at once must not open its breaker.
        is_conclusive = request.start_at is None
        admission = await self.health.admit(request) if is_conclusive else Admission()
        began = self._clock()
        try:
            with self.measured.watch(request), translate_errors(self.origin):
                answer = await self._send(request)
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
            self.health.fail(request, error, began, is_probe=bool(admission.probes))
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

    async def leads_back(self) -> bool:
        """Whether the endpoint is a mirror that refuses a request of this task as its own."""
        try:
            return await self._exchange.leads_back(self.connect)
        except UpstreamError:
            return False

    async def _send(self, request: Request) -> Answer:
        answer = await self._exchange.send(request, self.connect)
        self.measured.note_answer(request, answer)
        try:
            self._check(request, answer)
        except BaseException:
            await discard(answer.response)
            raise
        return answer

    def _check(self, request: Request, answer: Answer) -> None:
        response = answer.response
        if answer.origin == self.origin:
            limit = read_rate_limit(
                self.origin, self._login.identity, response.headers, time.time()
            )
            if limit is not None:
                self._note_limit(limit)
        if not 200 <= response.status_code < 300:
            raise error_of(
                request,
                answer,
                self.learned,
                is_redirected=answer.origin != self.origin,
                identity=self._login.identity,
            )
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            self.learned.trust_ranges()
