"""Laws of the middleware: which failures count for the client, and which for the mirror."""

import asyncio
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from registry.api.access_log import AccessLog
from registry.api.middleware import Middleware, Notes
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
