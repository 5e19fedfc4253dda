"""Whether an endpoint may be asked now: its circuit breakers, its probe and its pull limit."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from registry.errors import UpstreamError, UpstreamThrottled, UpstreamUnreachable
from registry.upstream.circuit_breaker import (
    FAILURES,
    LONGEST_LIMIT_TIME,
    LONGEST_THROTTLED_TIME,
    CircuitBreaker,
    throttled_time,
)
from registry.upstream.contract import Fallback
from registry.upstream.failures import (
    AttemptFailed,
    EndpointSuspended,
    NoConnection,
    RedirectBroken,
    TokensThrottled,
)
from registry.upstream.request import Request
from registry.upstream.statuses import Resource

MAX_FAILING = 1000  # requests, and repositories, whose failures are remembered


class ProbedBreaker:
    """A circuit breaker; while its probe is running, other requests wait for the result."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.state = CircuitBreaker()
        self._clock = clock
        self._probe_ended = asyncio.Event()

    def change(self, state: CircuitBreaker) -> None:
        """Replace the state."""
        self.state = state
        if state.probe_until:
            self._probe_ended.clear()
        else:
            self._probe_ended.set()

    async def has_probe_failed(self) -> bool:
        """Wait until no probe is running, or one has failed; return whether one has failed."""
        while (state := self.state).is_probing(self._clock()):
            with suppress(TimeoutError):
                async with asyncio.timeout(state.probe_until - self._clock()):
                    await self._probe_ended.wait()
            if self.state.opened_at != state.opened_at:
                return True
        return False


@dataclass(frozen=True, slots=True)
class Admission:
    """The permission to send one request.

    `probes` are the breakers of which the request is the probe, each with its state at that moment.
    `was_failing` says that a breaker was open, or half-open: then a failure is no surprise, and
    another try is no use.
    """

    probes: tuple[tuple[ProbedBreaker, CircuitBreaker], ...] = ()
    was_failing: bool = False


class EndpointHealth:
    """The health of the endpoint at `origin`; `clock` is in seconds."""

    def __init__(self, origin: str, clock: Callable[[], float]) -> None:
        self._origin = origin
        self._clock = clock
        # A client may ask for what is broken again and again, which must not stop the requests of
        # others. So failures count for one repository, and for the endpoint only if several
        # repositories have failed since the last success, or if there was no connection at all. A
        # breaker is made at the first failure.
        self._whole: ProbedBreaker | None = None
        self._repositories: dict[str, ProbedBreaker] = {}
        self._failed_in: set[str] = set()
        # A request with the answer 500 gets its own breaker, by method and path: one broken image
        # does not mean that the registry is broken.
        self._failing: dict[tuple[str, str], CircuitBreaker] = {}
        # After a 429, requests for the same kind of content stop, because limits are often on one
        # kind: blobs of a pull that is running go on after a 429 to a list.
        self._throttled: dict[Resource, CircuitBreaker] = {}
        # The last failure of the endpoint, for the errors of an open breaker.
        self._failure: UpstreamError = UpstreamUnreachable(origin, "has not failed")
        # If the pull limit is used up, only counted requests stop: blobs and HEADs are still sent.
        self._limited_until = 0.0
        self._limit = ""  # why counted requests stop

    def is_suspended(self, now: float, *, counts: bool, repository: str = "") -> bool:
        """Whether a request (with `counts`: a counted one) is not sent now, except as a probe."""
        if counts and now < self._limited_until:
            return True
        return any(each.state.is_open(now) for each in self._find_breakers(repository))

    def _find_breakers(self, repository: str) -> list[ProbedBreaker]:
        found = (self._whole, self._repositories.get(repository))
        return [each for each in found if each is not None]

    async def admit(self, request: Request) -> Admission:
        """Allow a request to be sent.

        A request whose answer is not known waits for a probe that is running, and shares its
        failure. If no probe is running, it becomes the probe, however long the breaker is still
        open.

        Raises:
            UpstreamThrottled: the pull limit is used up, or another server has answered 429 to a
                counted request.
            EndpointSuspended, UpstreamUnreachable: a breaker is open, or a probe is running.
        """
        if request.fallback is not Fallback.KNOWN:
            for waited_for in self._find_breakers(request.repository):
                if await waited_for.has_probe_failed():
                    self._suspend(waited_for.state)
        now = self._clock()
        was_failing = False
        breakers = self._find_breakers(request.repository)
        others = self._throttled.get(request.resource), self._failing.get(_key(request))
        for state in (*(each.state for each in breakers), *others):
            if state is not None and state.is_open(now):
                self._check_open(state, now, fallback=request.fallback)
                was_failing = True
        if request.counts and now < self._limited_until:
            raise UpstreamThrottled(self._origin, self._limit, self._limited_until - now)
        probes = []
        for breaker in breakers:
            admitted = breaker.state.admit(now)
            if admitted is not breaker.state:
                breaker.change(admitted)
                probes.append((breaker, admitted))
        return Admission(tuple(probes), was_failing or bool(probes))

    def _check_open(self, breaker: CircuitBreaker, now: float, *, fallback: Fallback) -> None:
        if breaker.is_probing(now):
            why = f"{self._describe_failure()}; another request checks whether it works again"
            raise UpstreamUnreachable(self._origin, why)
        if fallback is Fallback.KNOWN or not breaker.may_probe(now):
            self._suspend(breaker)

    def find_suspension(self) -> EndpointSuspended | None:
        """Return why the endpoint is not asked now; None if it is asked."""
        breaker = self._whole.state if self._whole is not None else None
        is_open = breaker is not None and breaker.is_open(self._clock())
        return self._describe_suspension(breaker) if breaker is not None and is_open else None

    def _suspend(self, breaker: CircuitBreaker) -> NoReturn:
        raise self._describe_suspension(breaker)

    def _describe_suspension(self, breaker: CircuitBreaker) -> EndpointSuspended:
        why = f"{self._describe_failure()}; it is not asked again yet"
        suspended = EndpointSuspended(self._origin, why, breaker.closed_at - self._clock())
        suspended.summary = self._failure.summary
        return suspended

    def _describe_failure(self) -> str:
        return f"failed recently ({self._failure.why})"

    def end(self, admission: Admission) -> None:
        """Let the next request be the probe, if this one was, and ended without a result."""
        for breaker, state in admission.probes:
            if breaker.state is state:
                breaker.change(state.end_probe())

    def succeed(self, request: Request) -> None:
        """Note that the endpoint gave a useful answer."""
        for breaker in self._find_breakers(request.repository):
            breaker.change(breaker.state.succeed())
        self._repositories.pop(request.repository, None)
        self._failed_in.clear()
        self._failing.pop(_key(request), None)
        self._throttled.pop(request.resource, None)

    def fail(
        self, request: Request, error: UpstreamUnreachable, began: float, *, is_probe: bool
    ) -> None:
        """Note that a request, sent at `began`, got no useful answer."""
        if isinstance(error, RedirectBroken):
            return
        self._failure = error.copy()
        now = self._clock()
        if isinstance(error, AttemptFailed):
            known = self._failing.pop(_key(request), None)
            self._failing[_key(request)] = (known or CircuitBreaker()).fail(now, began)
            _forget_oldest(self._failing)
            if known is not None and not is_probe:
                return
        if not isinstance(error, NoConnection):
            self._fail_in(request.repository, now, began)
            is_known = self._whole is not None and self._whole.state.failures >= FAILURES
            if not is_known:
                if request.repository in self._failed_in:
                    return
                self._failed_in.add(request.repository)
        self._whole = self._whole or ProbedBreaker(self._clock)
        self._whole.change(self._whole.state.fail(now, began))

    def _fail_in(self, repository: str, now: float, began: float) -> None:
        breaker = self._repositories.pop(repository, None) or ProbedBreaker(self._clock)
        self._repositories[repository] = breaker  # at the end, as the last that failed
        breaker.change(breaker.state.fail(now, began))
        _forget_oldest(self._repositories)

    def throttle(self, request: Request, error: UpstreamThrottled) -> None:
        """Note a 429.

        After that of a counted request, counted requests stop. After another one, requests for
        the same kind of content stop. The limit of a token service, or of a host after a redirect,
        is not the pull limit: it stops counted requests for a short time only.
        """
        is_own = error.endpoint == self._origin
        if request.counts:
            is_pull_limit = is_own and not isinstance(error, TokensThrottled)
            longest = LONGEST_LIMIT_TIME if is_pull_limit else LONGEST_THROTTLED_TIME
            until = self._clock() + throttled_time(error.retry_after, longest)
            if until > self._limited_until:
                self._limited_until = until
                other = f"{error.endpoint} {error.why}"
                self._limit = "its pull limit is used up" if is_pull_limit else other
        elif is_own:  # and not a host after a redirect
            self._failure = error.copy()
            breaker = self._throttled.get(request.resource) or CircuitBreaker()
            breaker = breaker.throttle(self._clock(), error.retry_after)
            self._throttled[request.resource] = breaker


def _key(request: Request) -> tuple[str, str]:
    """Return the key under which failures of a request are counted: method and path."""
    return request.method, request.path


def _forget_oldest(failing: dict[Any, Any]) -> None:
    if len(failing) > MAX_FAILING:
        del failing[next(iter(failing))]
