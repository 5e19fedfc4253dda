"""Laws of measurements: what counts as a failure, and how processes share them."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from registry.errors import (
    BlobUnknown,
    EntrepotError,
    UpstreamDenied,
    UpstreamFaulty,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.upstream.failures import (
    AttemptFailed,
    HeadRefused,
    NoConnection,
    RangeRefused,
    RedirectBroken,
)
from registry.upstream.measurements import MOST_NEW, Measurements
from registry.upstream.performance import Performance
from registry.upstream.request import Request
from registry.upstream.statuses import Resource

ABSENT = BlobUnknown("r", "d")


def ask(start_at: str | None = None) -> Request:
    return Request("GET", "r/blobs/d", "r", lambda: ABSENT, Resource.BLOB, start_at=start_at)


@pytest.fixture
def measured() -> Measurements:
    return Measurements(lambda: 1e6)


@pytest.mark.parametrize(
    ("error", "failures"),
    [
        (ABSENT, 0),
        (UpstreamDenied("o", "no"), 0),
        (HeadRefused("o", "no HEAD"), 0),
        (RangeRefused("o", "no ranges"), 0),
        (UpstreamUnreachable("o", "answers 503"), 1),
        (NoConnection("o", "no connection in time"), 1),
        (UpstreamThrottled("o", "429"), 1),
        (UpstreamFaulty("o", "nonsense"), 1),
        (RedirectBroken("cdn", "refuses the URL"), 1),
    ],
)
def test_what_counts_as_a_failure(measured: Measurements, error: Exception, failures: int) -> None:
    with pytest.raises(type(error)), measured.watch(ask()):
        raise error

    assert measured.failures == failures
    assert (measured.performance.failing > 0) is bool(failures)
    assert measured.performance.at == 1e6


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (ABSENT, "absent"),
        (UpstreamDenied("o", "no"), "denied"),
        (UpstreamThrottled("o", "429"), "throttled"),
        (UpstreamUnreachable("o", "answers 503"), "unreachable"),
        (NoConnection("o", "no connection in time"), "unreachable"),
        (AttemptFailed("o", "answers 500"), "error"),
        (RedirectBroken("cdn", "refuses the URL"), "error"),
        (UpstreamFaulty("o", "nonsense"), "error"),
        (HeadRefused("o", "no HEAD"), "error"),
    ],
)
def test_each_request_has_one_outcome(
    measured: Measurements, error: Exception | None, outcome: str
) -> None:
    """It is a word of a short list, whatever the error says."""
    with suppress(EntrepotError), measured.watch(ask()):
        if error is not None:
            raise error

    assert measured.outcomes == {("GET", outcome): 1}
    assert measured.silent == (outcome == "unreachable")


def test_silence_ends_with_an_answer(measured: Measurements) -> None:
    """What counts is how many requests in a row had no answer; a refusal is an answer."""
    silence = []
    for error in (UpstreamUnreachable("o", "x"),) * 3 + (ABSENT, UpstreamUnreachable("o", "x")):
        with suppress(EntrepotError), measured.watch(ask()):
            raise error
        silence.append(measured.silent)

    assert silence == [1, 2, 3, 0, 1]
    assert measured.succeeded_at == 1e6


def test_a_request_that_was_given_up_says_nothing(measured: Measurements) -> None:
    with pytest.raises(GeneratorExit), measured.watch(ask()):
        raise GeneratorExit

    assert measured.performance == Performance()
    assert measured.outcomes == {}


def test_an_expired_url_is_no_failure_of_the_endpoint(measured: Measurements) -> None:
    with pytest.raises(RedirectBroken), measured.watch(ask("https://cdn.example/signed")):
        raise RedirectBroken("cdn", "refuses the URL (403)")

    assert measured.failures == 0


def test_processes_share_what_they_measure() -> None:
    """Whoever gives away gets what all know, and keeps what he has measured since then."""
    one, other = Measurements(lambda: 1e6), Measurements(lambda: 1e6)
    common = Performance()

    def give(measured: Measurements, meanwhile: Callable[[], None] = lambda: None) -> None:
        nonlocal common
        for change in measured.take_new():
            common = change(common)
        meanwhile()
        measured.adopt(common)

    one.note_right(10)
    other.note_right(5)
    give(one)
    give(other, meanwhile=other.note_wrong)
    assert common.right == 15
    assert (other.performance.right, other.performance.wrong) == (0, 1)
    assert one.performance.right == 10

    give(other)
    give(one)
    assert one.performance == other.performance == Performance(right=0, wrong=1, at=1e6)


def test_measurements_that_nobody_takes_are_bounded(measured: Measurements) -> None:
    for _ in range(MOST_NEW + 5):
        measured.note_right(1)
    taken = measured.take_new()
    measured.note_outcome(is_failure=True)
    measured.put_back(taken)

    assert len(taken) == MOST_NEW
    assert len(measured.take_new()) == MOST_NEW
    assert measured.performance.right == MOST_NEW + 5
