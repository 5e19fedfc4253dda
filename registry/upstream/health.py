"""Whether an endpoint may be asked now: its circuit breakers, its probe and its pull limit."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from registry.errors import UpstreamThrottled, UpstreamUnreachable
from registry.upstream.circuit_breaker import LONGEST_LIMIT_TIME, CircuitBreaker, throttled_time
from registry.upstream.contract import Fallback
from registry.upstream.failures import AttemptFailed, EndpointSuspended, RedirectBroken
from registry.upstream.request import Request
from registry.upstream.statuses import Resource

MAX_FAILING = 1000  # requests whose failures are remembered


@dataclass(frozen=True, slots=True)
class Admission:
    """The permission to send one request.

    `probe` is the state of the breaker if the request is its probe. `was_failing` says that a
    breaker was open, or half-open: then a failure is no surprise, and another try is no use.
    """

    probe: CircuitBreaker | None = None
    was_failing: bool = False


class EndpointHealth:
    """The health of the endpoint at `origin`; `clock` is in seconds."""

    def __init__(self, origin: str, clock: Callable[[], float]) -> None:
        self._origin = origin
        self._clock = clock
        # A breaker is made at the first failure; None means that no request has failed.
        self._breaker: CircuitBreaker | None = None
        # A request with the answer 500 gets its own breaker, by method and path: one broken image
        # does not mean that the registry is broken.
        self._failing: dict[tuple[str, str], CircuitBreaker] = {}
        # After a 429, requests for the same kind of content stop, because limits are often on one
        # kind: blobs of a pull that is running go on after a 429 to a list.
        self._throttled: dict[Resource, CircuitBreaker] = {}
        self._failure = ""  # the last failure of the endpoint, for the errors of an open breaker
        self._probe_ended = asyncio.Event()
        # If the pull limit is used up, only counted requests stop: blobs and HEADs are still sent.
        self._limited_until = 0.0

    def is_suspended(self, now: float, *, counts: bool) -> bool:
        """Whether a request (with `counts`: a counted one) is not sent now, except as a probe."""
        if counts and now < self._limited_until:
            return True
        return self._breaker is not None and self._breaker.is_open(now)

    async def admit(self, request: Request) -> Admission:
        """Allow a request to be sent.

        A request whose answer is not known waits for a probe that is running, and shares its
        failure. If no probe is running, it becomes the probe, however long the breaker is still
        open.

        Raises:
            UpstreamThrottled: the pull limit is used up.
            EndpointSuspended, UpstreamUnreachable: a breaker is open, or a probe is running.
        """
        if request.fallback is not Fallback.KNOWN:
            await self._wait_for_probe()
        now = self._clock()
        was_failing = False
        throttled = self._throttled.get(request.resource)
        for breaker in (throttled, self._breaker, self._failing.get(_key(request))):
            if breaker is not None and breaker.is_open(now):
                self._check_open(breaker, now, fallback=request.fallback)
                was_failing = True
        if request.counts and now < self._limited_until:
            why = "its pull limit is used up"
            raise UpstreamThrottled(self._origin, why, self._limited_until - now)
        if self._breaker is None:
            return Admission(None, was_failing)
        admitted = self._breaker.admit(now)
        if admitted is self._breaker:
            return Admission(None, was_failing)
        self._change(admitted)
        return Admission(admitted, was_failing=True)

    def _change(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        if breaker.probe_until:
            self._probe_ended.clear()
        else:
            self._probe_ended.set()

    async def _wait_for_probe(self) -> None:
        while (breaker := self._breaker) is not None and breaker.is_probing(self._clock()):
            with suppress(TimeoutError):
                async with asyncio.timeout(breaker.probe_until - self._clock()):
                    await self._probe_ended.wait()
            if self._breaker is not None and self._breaker.opened_at != breaker.opened_at:
                self._suspend(self._breaker)

    def _check_open(self, breaker: CircuitBreaker, now: float, *, fallback: Fallback) -> None:
        if breaker.is_probing(now):
            why = f"{self._failure}; another request checks whether it works again"
            raise UpstreamUnreachable(self._origin, why)
        if fallback is Fallback.KNOWN or not breaker.may_probe(now):
            self._suspend(breaker)

    def _suspend(self, breaker: CircuitBreaker) -> NoReturn:
        why = f"{self._failure}; it is not asked again yet"
        raise EndpointSuspended(self._origin, why, breaker.closed_at - self._clock())

    def end(self, admission: Admission) -> None:
        """Let the next request be the probe, if this one was, and ended without a result."""
        if admission.probe is not None and self._breaker is admission.probe:
            self._change(admission.probe.end_probe())

    def succeed(self, request: Request) -> None:
        """Note that the endpoint gave a useful answer."""
        if self._breaker is not None:
            self._change(self._breaker.succeed())
        self._failing.pop(_key(request), None)
        self._throttled.pop(request.resource, None)

    def fail(
        self, request: Request, error: UpstreamUnreachable, began: float, *, is_probe: bool
    ) -> None:
        """Note that a request, sent at `began`, got no useful answer."""
        if isinstance(error, RedirectBroken):
            return
        self._failure = f"failed recently ({error.why})"
        now = self._clock()
        if isinstance(error, AttemptFailed):
            known = self._failing.pop(_key(request), None)
            self._failing[_key(request)] = (known or CircuitBreaker()).fail(now, began)
            if len(self._failing) > MAX_FAILING:
                del self._failing[next(iter(self._failing))]
            if known is not None and not is_probe:
                return
        self._change((self._breaker or CircuitBreaker()).fail(now, began))

    def throttle(self, request: Request, error: UpstreamThrottled) -> None:
        """Note a 429.

        After that of a counted request, counted requests stop. After another one, requests for
        the same kind of content stop.
        """
        if request.counts:
            wait = throttled_time(error.retry_after, LONGEST_LIMIT_TIME)
            self._limited_until = max(self._limited_until, self._clock() + wait)
        elif error.endpoint == self._origin:  # and not a host after a redirect
            self._failure = f"failed recently ({error.why})"
            breaker = self._throttled.get(request.resource) or CircuitBreaker()
            breaker = breaker.throttle(self._clock(), error.retry_after)
            self._throttled[request.resource] = breaker


def _key(request: Request) -> tuple[str, str]:
    """Return the key under which failures of a request are counted: method and path."""
    return request.method, request.path
