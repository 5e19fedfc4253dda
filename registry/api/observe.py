"""Annotate, then report once: handlers note what they learn, one middleware logs and counts it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from registry.api import errors
from registry.api.headers import ORIGIN
from registry.errors import EntrepotError
from registry.metrics import Metrics

LEFT = 499  # what nginx writes for a client that did not wait for its answer
BROKEN = 500  # what aiohttp answers to a mistake of ours, which it logs with its trace
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Observation:
    """What is known of a request by its end."""

    kind: str = "other"
    failure: str = ""


OBSERVATION = web.RequestKey("observation", Observation)


def observation(request: web.Request) -> Observation:
    """Return the notes on a request, for adding to them."""
    return request[OBSERVATION]


def build_observer(metrics: Metrics) -> Middleware:
    """Make the middleware that renders errors, writes one log line and counts."""
    log = structlog.get_logger("registry.api")

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        notes = request[OBSERVATION] = Observation()
        began = time.monotonic()
        response: web.StreamResponse | None = None
        status = BROKEN
        try:
            response = await handler(request)
            status = response.status
        except EntrepotError as error:
            notes.failure = str(error)
            response = errors.render(error)
            status = response.status
        except (asyncio.CancelledError, ConnectionError):
            status = LEFT
            raise
        finally:
            _report(log, metrics, request, (response, status), time.monotonic() - began)
        return response

    return observe


def _report(
    log: structlog.typing.FilteringBoundLogger,
    metrics: Metrics,
    request: web.Request,
    outcome: tuple[web.StreamResponse | None, int],
    seconds: float,
) -> None:
    notes = observation(request)
    response, status = outcome
    origin = "" if response is None else response.headers.get(ORIGIN, "")
    is_sent = response is not None and request.method == "GET" and not notes.failure
    sent = (response.content_length or 0) if response is not None and is_sent else 0
    metrics.requests.labels(notes.kind, str(status), origin).inc()
    metrics.request_seconds.labels(notes.kind).observe(seconds)
    metrics.sent_bytes.inc(sent)
    write = log.warning if notes.failure and status >= 500 else log.info
    write(
        "request",
        method=request.method,
        path=request.raw_path.partition("?")[0][:300],
        ns=request.query.get("ns", "")[:100],
        status=status,
        origin=origin,
        bytes=sent,
        seconds=round(seconds, 4),
        client=request.remote,
        agent=request.headers.get("User-Agent", "")[:100],
        failure=notes.failure[:300],
    )
