"""Laws of endpoints to which there is no connection: what they cost, and what is said of them."""

import asyncio

import pytest
import structlog

from registry.errors import UpstreamUnreachable
from registry.upstream.endpoint import Endpoint
from tests.unit.upstream.test_failover import ABSENT, answer, make_pool, unreachable


async def test_a_clear_no_beside_a_dead_endpoint_takes_one_round() -> None:
    """The dead one may have it, so that this is no "no"; but waiting for it again is no use."""
    ask, asked = answer(unreachable(), ABSENT)
    with pytest.raises(UpstreamUnreachable):
        await make_pool(lambda: 0.0).ask(ask)
    assert asked == ["first", "second"]


async def test_an_endpoint_that_was_overtaken_is_named_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that drops every packet costs time, and nobody would know why. It is named once."""
    monkeypatch.setattr("registry.upstream.race.CONNECT_WAIT", 0.01)

    async def ask(endpoint: Endpoint) -> str:
        if "first" in endpoint.origin:
            await asyncio.get_running_loop().create_future()
        return "yes"

    pool = make_pool(lambda: 0.0)
    with structlog.testing.capture_logs() as events:
        answers = [await pool.ask(ask) for _ in range(3)]

    assert answers == ["yes"] * 3
    (line,) = [each for each in events if each["event"] == "endpoint failed"]
    assert line["endpoint"] == "https://first.example"
    assert "no connection" in line["why"]


async def test_that_an_endpoint_is_reached_again_is_in_the_log() -> None:
    """A terminal does not repeat its failure until then."""
    now = 0.0
    pool = make_pool(lambda: now)
    with structlog.testing.capture_logs() as events:
        for failures, at in (([unreachable(), "yes"], 0.0), (["yes"], 100.0), (["yes"], 101.0)):
            now = at
            ask, _ = answer(*failures)
            await pool.ask(ask)
    assert [(each["event"], each["endpoint"]) for each in events] == [
        ("endpoint failed", "https://first.example"),
        ("endpoint reached again", "https://first.example"),
    ]
