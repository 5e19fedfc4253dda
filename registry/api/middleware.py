"""Annotate, then report once: handlers note what they learn, the observer tells of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from registry import __version__
from registry.api import errors
from registry.api.access_log import BROKEN, AccessLog, Report
from registry.api.headers import ORIGIN
from registry.api.replaying_protocol import Connection
from registry.api.response_cache import Answer
from registry.errors import EntrepotError

LEFT = 499  # what nginx writes for a client that did not wait for its answer
SERVER = f"Entrepot/{__version__}"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Observation:
    """What is known of a request by its end.

    `namespace` is an upstream that `ns` named; `is_current` says, at any later time, whether the
    same request from a client (its address) would get the same answer, where a handler knows that.
    """

    path: str
    has_query: bool
    kind: str = "other"
    namespace: str = ""
    failure: str = ""
    is_current: Callable[[str | None], bool] | None = None


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


class Middleware:
    """Stands before `handler`: renders its errors, signs, and has each answer told of once."""

    def __init__(self, reporter: AccessLog, handler: Handler) -> None:
        self._handler = handler
        self._reporter = reporter

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
            report = _describe(request, response, status)
            self._reporter.prepare(report)(request.remote, time.monotonic() - began)
        if not response.prepared:
            sign(request, response)
        _settle_later(request, response, report)
        return response


def _describe(request: web.BaseRequest, response: web.StreamResponse | None, status: int) -> Report:
    notes = observation(request)
    is_sent = response is not None and request.method == "GET" and not notes.failure
    return Report(
        method=request.method,
        path=notes.path,
        namespace=request.query.get("ns", "") if notes.has_query else "",
        agent=request.headers.get("User-Agent", ""),
        kind=notes.kind,
        status=status,
        origin="" if response is None else response.headers.get(ORIGIN, ""),
        sent=(response.content_length or 0) if response is not None and is_sent else 0,
        failure=notes.failure,
    )


def _settle_later(request: web.BaseRequest, response: web.StreamResponse, report: Report) -> None:
    """Tell the connection when this answer is out, which is when aiohttp's task for it ends."""
    connection = None if request.transport is None else request.transport.get_protocol()
    task = asyncio.current_task()
    if isinstance(connection, Connection) and task is not None:
        answer = Answer(response, report, observation(request).is_current)
        task.add_done_callback(partial(connection.settle, answer))
