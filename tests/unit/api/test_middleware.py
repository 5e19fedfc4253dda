"""Laws of the middleware: which failures count for the client, and which for the mirror."""

import asyncio
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from registry.api.access_log import AccessLog
from registry.api.middleware import Middleware, Notes
from registry.api.open_requests import OpenRequests
from registry.metrics.process_metrics import Metrics


def count(metrics: Metrics, status: str) -> float | None:
    labels = {"kind": "other", "status": status, "origin": ""}
    return metrics.registry.get_sample_value("entrepot_requests_total", labels)


def make_request(*, is_closing: bool) -> web.Request:
    transport = Mock()
    transport.is_closing.return_value = is_closing
    return make_mocked_request("GET", "/v2/", transport=transport)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (asyncio.CancelledError(), "499"),
        (ConnectionResetError(), "500"),  # of another connection
        (ZeroDivisionError(), "500"),
        (OSError(), "500"),
    ],
)
async def test_exceptions_are_counted(error: BaseException, status: str) -> None:
    """A cancelled request counts as 499, and every exception as 500."""
    metrics = Metrics()

    async def fail(_: web.BaseRequest, __: Notes) -> web.StreamResponse:
        raise error

    with pytest.raises(type(error)):
        await Middleware(AccessLog(metrics), fail).answer(make_request(is_closing=False))

    assert count(metrics, status) == 1.0


async def test_client_that_left_is_not_our_failure() -> None:
    """A connection that the client closed counts as 499, and raises no exception."""
    metrics = Metrics()

    async def fail(_: web.BaseRequest, __: Notes) -> web.StreamResponse:
        raise ConnectionResetError

    response = await Middleware(AccessLog(metrics), fail).answer(make_request(is_closing=True))

    assert response.status == 499
    assert count(metrics, "499") == 1.0


async def test_requests_of_an_address_are_counted_until_they_are_answered() -> None:
    """The next one is answered 429 with `Retry-After`, and then again as usual."""
    metrics = Metrics()
    end = asyncio.Event()

    async def wait(_: web.BaseRequest, __: Notes) -> web.StreamResponse:
        await end.wait()
        return web.Response()

    limit = OpenRequests(1, metrics, str.encode, patience=0.01)
    middleware = Middleware(AccessLog(metrics), wait, open_requests=limit)
    request = make_request(is_closing=False)
    first = asyncio.create_task(middleware.answer(request))
    await asyncio.sleep(0)

    refused = await asyncio.create_task(middleware.answer(request))
    end.set()
    await first
    answered = await asyncio.create_task(middleware.answer(request))

    assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    assert (answered.status, count(metrics, "429")) == (200, 1.0)
