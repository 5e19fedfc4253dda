"""Laws of the answers that are repeated: bounded, dated, and only where it pays."""

import time
from unittest.mock import patch

import pytest
from aiohttp import web

from registry.api.access_log import AccessLog, Report
from registry.api.response_cache import MAX_BODY, MAX_REQUEST, OVERHEAD, Answer, ResponseCache
from registry.metrics import Metrics


def make(limit: int = 100_000) -> ResponseCache:
    return ResponseCache(AccessLog(Metrics()), limit)


def answer(body: bytes = b"body", method: str = "GET") -> Answer:
    report = Report(method, "/", "", "", "manifests", 200, "hit", len(body), "")
    return Answer(web.Response(body=body), report, lambda _: True)


def test_a_head_has_no_body() -> None:
    """The answer to a HEAD ends with its headers."""
    replays = make()
    replays.learn(b"x", answer(method="HEAD"))
    assert replays.replay(b"x", None).endswith(b"\r\n\r\n")


def test_the_date_is_todays() -> None:
    """Every answer says when it was given."""
    replays = make()
    replays.learn(b"x", answer())
    for second in (86_400, 172_800):
        with patch.object(time, "time", return_value=second + 0.5):
            said = replays.replay(b"x", None)
        day = "Fri, 02" if second == 86_400 else "Sat, 03"
        assert f"Date: {day} Jan 1970 00:00:00 GMT\r\n".encode() in said


def test_what_is_remembered_is_bounded() -> None:
    """The first learnt are forgotten; learning the same again takes no more room."""
    replays = make(10 * (OVERHEAD + 1000 + 200))
    for number in range(1000):
        replays.learn(b"x", answer(b"y" * 1000))
        replays.learn(b"%d" % number, answer(b"y" * 1000))
    known = [number for number in range(1000) if replays.replay(b"%d" % number, None)]
    assert 8 <= len(known) <= 10
    assert known[-1] == 999
    assert replays.replay(b"x", None)


@pytest.mark.parametrize(
    ("request_", "given"),
    [
        (b"x" * (MAX_REQUEST + 1), answer()),
        (b"x", answer(b"y" * (MAX_BODY + 1))),
        (b"x", Answer(web.StreamResponse(), answer().report, lambda _: True)),
        (b"x", Answer(web.Response(body=b""), answer().report, None)),
    ],
)
def test_what_does_not_pay_is_not_learnt(request_: bytes, given: Answer) -> None:
    """Long requests, large, streamed or unlasting answers go their usual way."""
    replays = make()
    replays.learn(request_, given)
    assert replays.replay(request_, None) == b""


def test_unchanged_is_repeated() -> None:
    """A 304 has no body, and can be said again."""
    replays = make()
    unchanged = Answer(web.Response(status=304), answer().report, lambda _: True)
    replays.learn(b"x", unchanged)
    assert replays.replay(b"x", None).startswith(b"HTTP/1.1 304 Not Modified\r\n")
