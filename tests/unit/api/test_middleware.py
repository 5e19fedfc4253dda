"""Laws of the middleware: which failures count for the client, and which for the mirror."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from registry.api.access_log import AccessLog
from registry.api.middleware import Middleware, Notes
from registry.metrics import Metrics


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (asyncio.CancelledError(), "499"),
        (ConnectionResetError(), "499"),
        (ZeroDivisionError(), "500"),
        (OSError(), "500"),
    ],
)
async def test_a_client_that_left_is_not_our_failure(error: BaseException, status: str) -> None:
    """A cancelled or reset request counts as 499, and every other exception as 500."""
    metrics = Metrics()

    async def fail(_: web.BaseRequest, __: Notes) -> web.StreamResponse:
        raise error

    with pytest.raises(type(error)):
        await Middleware(AccessLog(metrics), fail).answer(make_mocked_request("GET", "/v2/"))

    labels = {"kind": "other", "status": status, "origin": ""}
    assert metrics.registry.get_sample_value("entrepot_requests_total", labels) == 1.0
