"""Annotate, then report once: handlers note what they learn, the observer logs and counts it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

import structlog
from aiohttp import web

from registry import __version__
from registry.api import errors
from registry.api.headers import ORIGIN
from registry.errors import EntrepotError
from registry.metrics import Metrics

LEFT = 499  # what nginx writes for a client that did not wait for its answer
BROKEN = 500  # what aiohttp answers to a mistake of ours, which it logs with its trace
SERVER = f"Entrepot/{__version__}"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Observation:
    """What is known of a request by its end; `namespace` is an upstream that `ns` named."""

    path: str
    has_query: bool
    kind: str = "other"
    namespace: str = ""
    failure: str = ""


OBSERVATION = web.RequestKey("observation", Observation)


def observation(request: web.BaseRequest) -> Observation:
    """Return the notes on a request, for adding to them."""
    return request[OBSERVATION]


def sign(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add the headers that every answer has; before it is prepared."""
    headers = response.headers
    headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    headers["Server"] = SERVER
    namespace = observation(request).namespace
    if namespace:
        # distribution-spec (main), "Registry Proxying": the answer is scoped by it.
        headers["OCI-Namespace"] = namespace


class Observer:
    """Stands before `handler`: renders its errors, signs, writes one log line and counts."""

    def __init__(self, metrics: Metrics, handler: Handler) -> None:
        self._handler = handler
        # Bound here: to look up a logger and its processors for each line takes as long as writing.
        self._log = structlog.get_logger("registry.api").bind()
        self._sent_bytes = metrics.sent_bytes
        self._count = cache(metrics.requests.labels)
        self._time = cache(metrics.request_seconds.labels)

    async def observe(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path, question, _ = request.raw_path.partition("?")
        notes = request[OBSERVATION] = Observation(path, bool(question))
        began = time.monotonic()
        response: web.StreamResponse | None = None
        status = BROKEN
        try:
            response = await self._handler(request)
            status = response.status
        except EntrepotError as error:
            notes.failure = str(error)
            response = errors.render(error)
            status = response.status
        except (asyncio.CancelledError, ConnectionError):
            status = LEFT
            raise
        finally:
            self._report(request, notes, (response, status), time.monotonic() - began)
        if not response.prepared:
            sign(request, response)
        return response

    def _report(
        self,
        request: web.BaseRequest,
        notes: Observation,
        outcome: tuple[web.StreamResponse | None, int],
        seconds: float,
    ) -> None:
        response, status = outcome
        origin = "" if response is None else response.headers.get(ORIGIN, "")
        is_sent = response is not None and request.method == "GET" and not notes.failure
        sent = (response.content_length or 0) if response is not None and is_sent else 0
        # Only labels from our own vocabulary: whatever a client sends must not fill the memory.
        self._count(notes.kind, str(status), origin).inc()
        self._time(notes.kind).observe(seconds)
        self._sent_bytes.inc(sent)
        write = self._log.warning if notes.failure and status >= BROKEN else self._log.info
        write(
            "request",
            method=request.method,
            path=notes.path[:300],
            ns=request.query.get("ns", "")[:100] if notes.has_query else "",
            status=status,
            origin=origin,
            bytes=sent,
            seconds=round(seconds, 4),
            client=request.remote,
            agent=request.headers.get("User-Agent", "")[:100],
            failure=notes.failure[:300],
        )
