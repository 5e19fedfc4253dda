"""Laws of the response cache: its size, the date, and which answers are remembered."""

import asyncio
import time
from dataclasses import replace
from unittest.mock import patch

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from registry.access.surroundings import Surroundings
from registry.api.access_log import AccessEntry, AccessLog
from registry.api.repeated_answers import MAX_BODY, MAX_REQUEST, OVERHEAD, ResponseCache, SentAnswer
from registry.metrics.process_metrics import Metrics

LOG = AccessLog(Metrics())


def make(limit: int = 100_000) -> ResponseCache:
    return ResponseCache(LOG, limit)


def answer(body: bytes = b"body", method: str = "GET", log: AccessLog = LOG) -> SentAnswer:
    entry = AccessEntry(method, "/", "", "", "manifests", 200, "hit", len(body), "")
    return SentAnswer(web.Response(body=body), entry, log.prepare(entry), lambda _: True)


async def test_a_head_has_no_body() -> None:
    """The answer to a HEAD ends with its headers."""
    cache = make()
    cache.remember(b"x", answer(method="HEAD"))
    assert cache.repeat(b"x", Surroundings()).endswith(b"\r\n\r\n")


async def test_the_date_is_new() -> None:
    """A repeated answer has the date of the repetition."""
    cache = make()
    cache.remember(b"x", answer())
    for second in (86_400, 172_800):
        with patch.object(time, "time", return_value=second + 0.5):
            repeated = cache.repeat(b"x", Surroundings())
        day = "Fri, 02" if second == 86_400 else "Sat, 03"
        assert f"Date: {day} Jan 1970 00:00:00 GMT\r\n".encode() in repeated
        await asyncio.sleep(0)  # all answers of one turn of the loop have the same date


async def test_the_cache_is_bounded() -> None:
    """The oldest entries are removed first; the same request again takes no more space."""
    cache = make(10 * (OVERHEAD + 1000 + 200))
    for number in range(1000):
        cache.remember(b"x", answer(b"y" * 1000))
        cache.remember(b"%d" % number, answer(b"y" * 1000))
    known = [number for number in range(1000) if cache.repeat(b"%d" % number, Surroundings())]
    assert 8 <= len(known) <= 10
    assert known[-1] == 999
    assert cache.repeat(b"x", Surroundings())


@pytest.mark.parametrize(
    ("request_", "given"),
    [
        (b"x" * (MAX_REQUEST + 1), answer()),
        (b"x", answer(b"y" * (MAX_BODY + 1))),
        (b"x", replace(answer(), response=web.StreamResponse())),
        (b"x", replace(answer(), is_current=None)),
    ],
)
async def test_some_answers_are_not_remembered(request_: bytes, given: SentAnswer) -> None:
    """Long requests, and large, streamed, or changing answers are not remembered."""
    cache = make()
    cache.remember(request_, given)
    assert cache.repeat(request_, Surroundings()) == b""


async def test_not_modified_is_repeated() -> None:
    """A 304, which has no body, is repeated."""
    cache = make()
    cache.remember(b"x", replace(answer(), response=web.Response(status=304)))
    assert cache.repeat(b"x", Surroundings()).startswith(b"HTTP/1.1 304 Not Modified\r\n")


async def test_one_look_is_enough_for_a_turn() -> None:
    """Requests that were there together are checked once for each client, and counted together."""
    metrics = Metrics()
    log = AccessLog(metrics)
    cache = ResponseCache(log)
    asked: list[str | None] = []
    first = replace(answer(log=log), is_current=lambda who: not asked.append(who))
    cache.remember(b"x", first)
    with capture_logs() as lines:
        for client in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
            assert cache.repeat(b"x", Surroundings(client))
        await asyncio.sleep(0)
    assert asked == ["192.0.2.1", "192.0.2.2"]
    assert [line["client"] for line in lines] == ["192.0.2.1", "192.0.2.1", "192.0.2.2"]
    labels = {"kind": "manifests", "status": "200", "origin": "hit"}
    assert metrics.registry.get_sample_value("entrepot_requests_total", labels) == 3
    labels = {"kind": "manifests", "origin": "hit"}
    sent = metrics.registry.get_sample_value("entrepot_sent_bytes_total", labels)
    assert sent == 3 * len(b"body")
    first_bytes = metrics.registry.get_sample_value("entrepot_first_byte_seconds_count", labels)
    assert first_bytes == 3, "each answer begins once"
    assert cache.repeat(b"x", Surroundings("192.0.2.1"))
    assert len(asked) == 3


async def test_what_is_current_for_one_client_is_not_for_another() -> None:
    """In the same turn too, each client is asked about."""
    cache = make()
    cache.remember(b"x", replace(answer(), is_current=lambda who: who == "a"))
    assert cache.repeat(b"x", Surroundings("a"))
    assert not cache.repeat(b"x", Surroundings("b"))


async def test_one_turn_has_several_certificates() -> None:
    """Behind one address, an answer is repeated only to the certificate that it was made for."""
    cache = make()
    alice, bob, nobody = (Surroundings("a", name) for name in ("alice", "bob", ""))
    for name in ("x", "y"):
        sent = replace(
            answer(), find_caller=lambda who: who if who.certificate == "alice" else None
        )
        cache.remember(name.encode(), sent)

    assert cache.repeat(b"x", alice)
    assert not cache.repeat(b"x", bob)
    assert cache.repeat(b"y", alice)
    assert not cache.repeat(b"y", nobody)
