"""One endpoint of an upstream: authenticated requests, redirects by hand, health, errors made ours.

Everything that talks to a registry goes through `Endpoint.request`; what it yields has a status of
2xx, everything else has become an error of `registry.errors`.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from registry.errors import (
    BlobUnknown,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamFaulty,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.upstream.auth import Login
from registry.upstream.circuit_breaker import LONGEST_QUOTA, CircuitBreaker
from registry.upstream.client import CONNECT, discard, translate_errors, write_request
from registry.upstream.failures import AttemptFailed, EndpointSuspended, HeadRefused, RedirectBroken
from registry.upstream.rate_limit import Budget, read_budget, read_retry_after
from registry.upstream.redirects import MAX_HOPS, follow, origin_of

MAX_FAILED_ATTEMPTS = 1000  # questions answered 500 that are remembered
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Call:
    """What to ask a registry: `path` below `/v2/`; `absent` is raised when it says 404.

    `counts` says that the answer is taken from a pull budget (a manifest GET at Docker Hub).
    `start_at` is a URL that an earlier answer to the same path redirected to.
    """

    method: str
    path: str
    repository: str
    absent: Unknown
    headers: Mapping[str, str] = field(default_factory=dict)
    counts: bool = False
    start_at: str | None = None

    @property
    def subject(self) -> str:
        """What is asked, however often."""
        return f"{self.method} {self.path}"

    @property
    def is_bulk(self) -> bool:
        """Whether the answer may be large: a blob."""
        return self.method == "GET" and isinstance(self.absent, BlobUnknown)

    @property
    def scope(self) -> str:
        """The token scope that this call needs."""
        return f"repository:{self.repository}:pull"


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx response still being read, and the URL that gave it."""

    response: httpx.Response
    url: str

    @property
    def origin(self) -> str:
        """Scheme, host and port of what answered."""
        return origin_of(self.url)

    @property
    def is_partial(self) -> bool:
        """Whether it is a range, not the whole."""
        return self.response.status_code == 206

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        value: str | None = self.response.headers.get(name)
        return value


class Endpoint:
    """One base URL, with its own health, its login, and the budget it last told."""

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        login: Login,
        clock: Callable[[], float],
        note_budget: Callable[[Budget], None],
    ) -> None:
        self.origin = origin_of(url)
        self.base = url.rstrip("/")
        self._client = client
        self._login = login
        self._clock = clock
        self._note_budget = note_budget
        self._health = CircuitBreaker()
        # A quota answers 429 to counted requests only, and blobs and HEADs still go through.
        self._quota = CircuitBreaker()
        # What got a 500 has a breaker of its own: one broken image is no broken registry.
        self._failed_attempts: dict[str, CircuitBreaker] = {}
        self._trouble = "failed lately"  # with why, for those who find it at rest
        self.connect = CONNECT  # seconds a new connection may take

    def is_suspect(self) -> bool:
        """Whether it sent wrong bytes lately."""
        return self._health.is_suspect(self._clock())

    def rests(self, *, counts: bool = False) -> bool:
        """Whether its breaker is open (for calls that count against its budget)."""
        now = self._clock()
        return self._health.rests(now) or (counts and self._quota.rests(now))

    def mark_suspect(self) -> None:
        """Remember that it sent wrong bytes."""
        self._health = self._health.mark_suspect(self._clock())

    @asynccontextmanager
    async def request(self, call: Call) -> AsyncIterator[Answer]:
        """Ask, and yield the 2xx answer with its body unread.

        Raises:
            Unknown: `call.absent`, when it says 404.
            UpstreamThrottled, UpstreamDenied, UpstreamFaulty, UpstreamUnreachable: see there; also
                when reading the body breaks inside the `async with`.
        """
        began = self._clock()
        if call.start_at is None:
            self._admit(call)
        # A body that breaks off, and a signed URL that is no longer good, say nothing about
        # whether the endpoint answers: several of them at once must not open its breaker.
        is_telling = call.start_at is None
        trial = self._health.trial_until if is_telling else 0.0
        try:
            with translate_errors(self.origin):
                answer = await self._exchange(call)
                if is_telling:
                    self._succeed(call)
                is_telling = False
                try:
                    yield answer
                finally:
                    done = discard if call.method == "HEAD" else httpx.Response.aclose
                    await done(answer.response)
        except UpstreamThrottled as error:
            self._throttle(call, error)
            raise
        except UpstreamUnreachable as error:
            if is_telling:
                self._fail(call, error, began, is_trial=trial > 0)
            raise
        except (Unknown, UpstreamDenied):
            # A clear no is a useful answer: whoever gives one is well.
            if is_telling:
                self._succeed(call)
            raise
        finally:
            if trial and trial == self._health.trial_until:
                self._health = self._health.withdraw()

    def _admit(self, call: Call) -> None:
        now = self._clock()
        if self._health.is_on_trial(now):
            raise UpstreamUnreachable(self.origin, f"{self._trouble} and is being tried")
        for health in (self._health, self._failed_attempts.get(call.subject, self._health)):
            if health.rests(now):
                rest = health.rests_until - now
                raise EndpointSuspended(self.origin, f"{self._trouble} and is left alone", rest)
        if call.counts and self._quota.rests(now):
            raise UpstreamThrottled(
                self.origin, "its pull budget is used up", self._quota.rests_until - now
            )
        self._health = self._health.admit(now)

    def _succeed(self, call: Call) -> None:
        self._health = self._health.succeed()
        self._failed_attempts.pop(call.subject, None)

    def _fail(
        self, call: Call, error: UpstreamUnreachable, began: float, *, is_trial: bool
    ) -> None:
        if isinstance(error, RedirectBroken):
            return
        now, self._trouble = self._clock(), f"failed lately ({error.why})"
        if isinstance(error, AttemptFailed):
            known = self._failed_attempts.pop(call.subject, None)
            self._failed_attempts[call.subject] = (known or CircuitBreaker()).fail(now, began)
            if len(self._failed_attempts) > MAX_FAILED_ATTEMPTS:
                del self._failed_attempts[next(iter(self._failed_attempts))]
            if known is not None and not is_trial:
                return
        self._health = self._health.fail(now, began)

    def _throttle(self, call: Call, error: UpstreamThrottled) -> None:
        now = self._clock()
        if call.counts:
            self._quota = self._quota.throttle(now, error.retry_after, LONGEST_QUOTA)
        elif error.endpoint == self.origin:  # else it was a host that it redirected to
            self._trouble = f"failed lately ({error.why})"
            self._health = self._health.throttle(now, error.retry_after)

    async def _exchange(self, call: Call) -> Answer:
        first = call.start_at or f"{self.base}/v2/{call.path}"
        is_ours = origin_of(first) == self.origin
        header = await self._login.prepare(call.scope) if is_ours else None
        answer = await self._send(call, first, header)
        if answer.response.status_code == 401 and origin_of(answer.url) == self.origin:
            challenges = answer.response.headers.get_list("www-authenticate")
            await discard(answer.response)
            header = await self._login.answer(challenges, call.scope, header)
            if header is None:
                raise UpstreamDenied(self.origin, "asks for a login (private, or not there)")
            answer = await self._send(call, first, header)
        try:
            self._judge(call, answer)
        except BaseException:
            await discard(answer.response)
            raise
        return answer

    async def _send(self, call: Call, url: str, header: str | None) -> Answer:
        for _ in range(MAX_HOPS + 1):
            headers = dict(call.headers)
            # Only this endpoint's own origin ever sees our login, on whichever hop.
            if header is not None and origin_of(url) == self.origin:
                headers["Authorization"] = header
            response = await self._send_once(call, url, headers)
            if response.status_code not in REDIRECTS:
                return Answer(response, url)
            location = response.headers.get("location", "")
            await discard(response)
            url = follow(url, location)
        raise UpstreamFaulty(self.origin, f"redirects more than {MAX_HOPS} times")

    async def _send_once(self, call: Call, url: str, headers: Mapping[str, str]) -> httpx.Response:
        origin = origin_of(url)
        request = write_request(
            self._client, call.method, url, headers, connect=self.connect, is_bulk=call.is_bulk
        )
        try:
            with translate_errors(origin):
                return await self._client.send(request, stream=True)
        except UpstreamUnreachable as error:
            if origin == self.origin:
                raise
            raise RedirectBroken(origin, error.why) from error

    def _judge(self, call: Call, answer: Answer) -> None:
        response, origin = answer.response, answer.origin
        status = response.status_code
        if origin == self.origin:
            budget = read_budget(self.origin, self._login.identity, response.headers)
            if budget is not None:
                self._note_budget(budget)
        if 200 <= status < 300:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise UpstreamFaulty(origin, "encodes content although asked not to")
            return
        raise _error_of(call, origin, response, is_elsewhere=origin != self.origin)


def _error_of(
    call: Call, origin: str, response: httpx.Response, *, is_elsewhere: bool
) -> Unknown | UpstreamError:
    status = response.status_code
    retry_after = read_retry_after(response.headers)
    is_blob = isinstance(call.absent, BlobUnknown)
    if is_elsewhere and (status >= 500 or status in (401, 403, 408) or is_blob):
        # A signed URL that was refused (expired, clocks apart), or leads to a store that lags
        # behind, says nothing about the content: only the registry itself can.
        why = f"refuses the URL it was redirected to ({status})"
        return RedirectBroken(origin, why, retry_after)
    if status == 404:
        return call.absent
    kind, why = _read_status(status, call.method)
    return kind(origin, why, retry_after)


def _read_status(status: int, method: str) -> tuple[type[UpstreamError], str]:
    match status:
        case 429:
            return UpstreamThrottled, "says: too many requests (429)"
        case 401 | 403:
            return UpstreamDenied, f"refuses this ({status}): private, or not there"
        case 405 | 501 if method == "HEAD":
            return HeadRefused, f"knows no HEAD ({status})"
        case 502 | 503 | 504:
            return UpstreamUnreachable, f"answers {status}"
        case _ if status >= 500 or status == 408:
            return AttemptFailed, f"answers {status}"
    return UpstreamFaulty, f"answers {status}, which makes no sense here"
