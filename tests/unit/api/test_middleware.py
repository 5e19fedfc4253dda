"""Laws of the observer: what counts as the client's leaving, and what as our mistake."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from registry.api.access_log import AccessLog
from registry.api.middleware import Middleware
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
async def test_only_who_left_counts_as_such(error: BaseException, status: str) -> None:
    """A cancelled or reset request counts as 499, every other exception as 500."""
    metrics = Metrics()

    async def fail(_: web.BaseRequest) -> web.StreamResponse:
        raise error

    with pytest.raises(type(error)):
        await Middleware(AccessLog(metrics), fail).observe(make_mocked_request("GET", "/v2/"))

    labels = {"kind": "other", "status": status, "origin": ""}
    assert metrics.registry.get_sample_value("entrepot_requests_total", labels) == 1.0
