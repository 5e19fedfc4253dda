"""Docker Hub's budget and its two kinds of 429: read, kept, respected, never passed on."""

import contextlib
import sqlite3

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Plain429, Status
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

TOO_MANY = Status(
    429,
    '{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your limit."}]}',
    {"Content-Type": "application/json"},
)
WITH_TIME = Status(429, "{}", {"Content-Type": "application/json", "Retry-After": "77"})


def read_budgets(mirror: MirrorProcess) -> list[tuple[object, ...]]:
    uri = f"file:{mirror.data / 'catalog.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as catalog:
        return catalog.execute(
            "SELECT endpoint, identity, allowed, remaining, period, source FROM budgets"
        ).fetchall()


def test_the_budget_is_read_and_kept(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """What the rate-limit headers say is in the metrics and in the catalog."""
    hub.add_image("team/counted", "1", [b"counted"])
    hub.pulls_left, hub.pulls_limit = 76, 100
    mirror = make_mirror(workers=1)
    fetch(f"{mirror.url}/v2/team/counted/manifests/1")

    expected = [(hub.url, "", 100, 75, 21600.0, "127.0.0.1")]
    wait_until(lambda: read_budgets(mirror) == expected, f"{expected} in the catalog")
    metrics = fetch(f"{mirror.console}/metrics").body.decode()
    labels = f'endpoint="{hub.url}",identity=""'
    assert f"entrepot_upstream_pulls_remaining{{{labels}}} 75.0" in metrics


@pytest.mark.parametrize("limit", [TOO_MANY, WITH_TIME, Plain429()], ids=["json", "timed", "plain"])
def test_an_unknown_image_is_503_with_a_time(
    place: str, shared_hub: FakeUpstream, limit: Status | Plain429
) -> None:
    """A 429 is never passed on, for containerd would come back five times at once."""
    shared_hub.add_image("team/throttled", "1", [b"throttled"])
    shared_hub.faults.add(Fault("manifest", limit, times=None))

    answers = [fetch(f"{place}/team/throttled/manifests/1") for _ in range(5)]

    assert {answer.status for answer in answers} == {503}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    if limit is WITH_TIME:
        assert 70 <= int(answers[0].headers["Retry-After"]) <= 77
    # One that is throttled is left alone: asking again would keep its window full.
    assert len(shared_hub.journal.of("manifest", contains="throttled")) == 1, shared_hub.journal


@pytest.mark.parametrize("limit", [TOO_MANY, WITH_TIME, Plain429()], ids=["json", "timed", "plain"])
def test_a_known_image_is_served_stale(
    place: str, shared_hub: FakeUpstream, limit: Status | Plain429
) -> None:
    """What is known is served with a warning, whichever way the upstream throttles."""
    image = shared_hub.add_image("team/known", "1", [b"known"])
    fetch(f"{place}/team/known/manifests/1")
    shared_hub.faults.add(Fault("manifest", limit, times=None))

    answers = [fetch(f"{place}/team/known/manifests/1") for _ in range(5)]

    assert {(answer.status, answer.origin) for answer in answers} == {(200, "stale")}
    assert {answer.body for answer in answers} == {image.manifest}
    assert all("429" in answer.headers["Warning"] for answer in answers)


def test_a_used_up_budget_still_lets_heads_and_blobs_through(
    place: str, shared_hub: FakeUpstream
) -> None:
    """Docker Hub counts manifest GETs alone: known tags are revalidated, blobs are fetched."""
    image = shared_hub.add_image("team/used-up", "1", [b"used up" * 1000])
    shared_hub.add_image("team/used-up", "2", [b"never pulled"])
    base = f"{place}/team/used-up"
    fetch(f"{base}/manifests/1")
    shared_hub.pulls_left = 0

    unknown = fetch(f"{base}/manifests/2")
    known = fetch(f"{base}/manifests/1")
    blob = fetch(f"{base}/blobs/{image.layers[0]}")

    assert unknown.status == 503
    assert (known.status, known.origin) == (200, "revalidated")
    assert (blob.status, blob.body) == (200, b"used up" * 1000)
    gets = [entry for entry in shared_hub.journal.of("manifest", "GET") if entry.status == 429]
    assert len(gets) == 1, shared_hub.journal


def test_a_manifest_that_moved_while_the_budget_is_used_up_is_stale(
    place: str, shared_hub: FakeUpstream
) -> None:
    """A HEAD that returns a new digest does not help without a GET: the old image is served."""
    image = shared_hub.add_image("team/moved", "1", [b"old"])
    fetch(f"{place}/team/moved/manifests/1")
    shared_hub.add_image("team/moved", "1", [b"new"])
    shared_hub.pulls_left = 0

    answer = fetch(f"{place}/team/moved/manifests/1")

    assert (answer.status, answer.origin, answer.body) == (200, "stale", image.manifest)
    assert answer.headers["Warning"].startswith('299 - "')
