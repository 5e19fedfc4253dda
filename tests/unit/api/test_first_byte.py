"""Laws of the time to the first byte: what a client waits for, and not how long it reads."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from registry.api import middleware
from registry.api.access_log import AccessLog
from registry.api.headers import ORIGIN
from registry.api.middleware import Middleware, Notes
from registry.metrics.process_metrics import Metrics

READ, WAITED = 100.0, 2.0  # seconds


class Clock:
    """A clock that moves when it is told to."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_what_is_read_later_does_not_count(
    monkeypatch: pytest.MonkeyPatch, *, is_streamed: bool
) -> None:
    """The time ends when the handler begins its answer, or else returns it."""
    metrics, clock = Metrics(), Clock()
    monkeypatch.setattr(middleware, "time", clock)

    async def handle(_: web.BaseRequest, notes: Notes) -> web.StreamResponse:
        notes.kind = "blobs"
        clock.now += WAITED
        response = web.Response(headers={ORIGIN: "miss"})
        if is_streamed:
            notes.begin(response)
            clock.now += READ
        return response

    await Middleware(AccessLog(metrics), handle).answer(make_mocked_request("GET", "/v2/"))

    read = metrics.registry.get_sample_value
    labels = {"kind": "blobs", "origin": "miss"}
    assert read("entrepot_first_byte_seconds_sum", labels) == WAITED
    assert read("entrepot_request_seconds_sum", {"kind": "blobs"}) == WAITED + READ * is_streamed


async def test_an_answer_without_content_has_none() -> None:
    """Errors and lists would hide how long images take."""
    metrics = Metrics()

    async def handle(_: web.BaseRequest, __: Notes) -> web.StreamResponse:
        return web.Response(status=404)

    await Middleware(AccessLog(metrics), handle).answer(make_mocked_request("GET", "/v2/"))

    (found,) = metrics.first_byte_seconds.collect()
    assert found.samples == []
