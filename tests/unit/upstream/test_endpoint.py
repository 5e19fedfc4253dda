"""Laws of one endpoint, against a registry on a real socket and a clock that a test sets."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from registry.errors import (
    BlobUnknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamFaulty,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.upstream.circuit_breaker import (
    FAILURES,
    FIRST_OPEN_TIME,
    LONGEST_THROTTLED_TIME,
    THROTTLED_TIME,
)
from registry.upstream.contract import Fallback
from registry.upstream.failures import AttemptFailed, EndpointSuspended, RequestRefused
from registry.upstream.redirects import MAX_REDIRECTS
from registry.upstream.statuses import Resource
from tests.fakes.upstream import FakeUpstream, Fault, Redirect, RedirectLoop, Status
from tests.unit.upstream.endpoint_bench import LAYER, NAME, Bench, open_bench


@pytest.fixture
async def bench(hub: FakeUpstream) -> AsyncIterator[Bench]:
    async with open_bench(hub) as opened:
        yield opened


async def test_blob_comes_through_login_and_redirect(bench: Bench) -> None:
    """A challenge is answered and a redirect followed; the content host sees no Authorization."""
    assert await bench.ask() == LAYER
    assert ["Authorization" in entry.headers for entry in bench.hub.journal.of("cdn")] == [False]


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (Status(404), BlobUnknown),
        (Status(403), UpstreamDenied),
        (Status(401), UpstreamDenied),
        (Status(429), UpstreamThrottled),
        (Status(500), AttemptFailed),
        (Status(503), UpstreamUnreachable),
        (Status(408), AttemptFailed),
        (Status(416), RequestRefused),
        (Status(400), RequestRefused),
        (RedirectLoop(), UpstreamFaulty),
        (Redirect("https://["), UpstreamFaulty),
        (Redirect("ftp://h.example/x"), UpstreamFaulty),
    ],
)
async def test_statuses_become_errors(bench: Bench, action: object, kind: type) -> None:
    """Every answer without content becomes the error that says what it means."""
    bench.break_blobs(action, times=None)
    assert kind is type(await bench.fail())


async def test_redirects_end_after_five(bench: Bench) -> None:
    """The sixth redirect in a row is refused."""
    bench.break_blobs(RedirectLoop(), times=None)
    await bench.fail()
    answered = [entry for entry in bench.hub.journal.of("blob") if entry.status == 307]
    assert len(answered) == MAX_REDIRECTS + 1


async def test_breaker_opens(bench: Bench) -> None:
    """After three failures in a row nothing is sent; the error says for how long, and why."""
    bench.break_blobs(Status(503), times=FAILURES)
    for _ in range(FAILURES):
        await bench.fail()
    bench.hub.journal.clear()

    error = await bench.fail(fallback=Fallback.KNOWN)

    assert isinstance(error, UpstreamUnreachable)
    assert error.retry_after == FIRST_OPEN_TIME
    assert error.why == "failed recently (answers 503); it is not asked again yet"
    assert len(bench.hub.journal) == 0


@pytest.mark.parametrize("fallback", [Fallback.NONE, Fallback.EMPTY])
async def test_request_without_a_known_answer_probes_an_open_breaker(
    bench: Bench, fallback: Fallback
) -> None:
    """Where nothing else can be served, the endpoint is asked at once, and the breaker closes."""
    bench.break_blobs(Status(503), times=FAILURES)
    for _ in range(FAILURES):
        await bench.fail()

    assert await bench.ask(fallback=fallback) == LAYER
    assert await bench.ask(fallback=Fallback.KNOWN) == LAYER


async def test_requests_without_a_fallback_share_one_probe(bench: Bench) -> None:
    """While the endpoint is down, of twenty requests at the same time one is sent."""
    bench.break_blobs(Status(503), times=None)
    for _ in range(FAILURES):
        await bench.fail()
    bench.hub.journal.clear()
    bench.now += 0.1

    failures = await asyncio.gather(*(bench.fail() for _ in range(20)))

    assert len(bench.hub.journal) == 1
    assert {type(each) for each in failures} == {EndpointSuspended}


async def test_requests_that_waited_for_a_probe_are_sent_when_it_succeeds(bench: Bench) -> None:
    """When the probe succeeds, the requests that waited for it are sent."""
    bench.break_blobs(Status(503), times=FAILURES)
    for _ in range(FAILURES):
        await bench.fail()

    assert await asyncio.gather(*(bench.ask() for _ in range(20))) == [LAYER] * 20


async def test_no_request_probes_after_a_429(bench: Bench) -> None:
    """After a 429 a request without a fallback is not sent either: it would prolong the limit."""
    bench.break_blobs(Status(429, "", {"Retry-After": "30"}))
    await bench.fail()
    bench.hub.journal.clear()

    error = await bench.fail()

    assert isinstance(error, EndpointSuspended)
    assert len(bench.hub.journal) == 0


async def test_breaker_closes(bench: Bench) -> None:
    """When the open time is over and the probe succeeds, every request goes through again."""
    bench.break_blobs(Status(503), times=FAILURES)
    for _ in range(FAILURES):
        await bench.fail()
    bench.now += FIRST_OPEN_TIME

    assert await bench.ask() == LAYER
    assert await bench.ask() == LAYER


@pytest.mark.parametrize("answer", [Status(404), Status(403)])
async def test_clear_no_closes_the_breaker(bench: Bench, answer: object) -> None:
    """A clear no to the probe closes the breaker: the other requests need not wait."""
    await bench.ask()  # logs in
    bench.break_blobs(Status(503), times=FAILURES)
    for _ in range(FAILURES):
        await bench.fail()
    bench.now += FIRST_OPEN_TIME
    bench.break_blobs(answer)

    await bench.fail()

    assert await bench.ask() == LAYER


async def test_clear_answers_separate_failures(bench: Bench) -> None:
    """Failures with a clear answer between them are not in a row."""
    await bench.ask()  # logs in
    for answer in (Status(503), Status(503), Status(404), Status(503), Status(503)):
        bench.break_blobs(answer)
        await bench.fail()

    assert await bench.ask() == LAYER


async def test_throttled_endpoint_is_not_asked(bench: Bench) -> None:
    """After a 429 no request is sent for as long as its Retry-After says."""
    bench.break_blobs(Status(429, headers={"Retry-After": "30"}))
    await bench.fail()

    assert await bench.fail()
    bench.now += 30
    assert await bench.ask() == LAYER


@pytest.mark.parametrize("resource", [Resource.MANIFEST, Resource.TAGS, Resource.REFERRERS])
async def test_429_stops_only_the_same_kind_of_requests(bench: Bench, resource: Resource) -> None:
    """Blobs of a pull that is running are still downloaded after a 429 to another question."""
    path = {
        Resource.MANIFEST: f"{NAME}/manifests/1",
        Resource.TAGS: f"{NAME}/tags/list",
        Resource.REFERRERS: f"{NAME}/referrers/{bench.blob}",
    }[resource]
    bench.hub.faults.add(Fault(resource.name.lower(), Status(429)))
    assert isinstance(await bench.fail(path, resource=resource), UpstreamThrottled)

    assert await bench.ask() == LAYER
    assert isinstance(await bench.fail(path, resource=resource), EndpointSuspended)


async def test_used_up_limit_stops_only_counted_requests(bench: Bench) -> None:
    """A 429 to a counted request stops counted requests only; blobs are still asked for."""
    bench.break_blobs(Status(429))
    await bench.fail(counts=True)

    assert await bench.ask() == LAYER
    assert isinstance(await bench.fail(counts=True), UpstreamThrottled)
    bench.now += THROTTLED_TIME
    assert await bench.ask(counts=True) == LAYER


async def test_limit_of_a_token_service_is_not_the_pull_limit(bench: Bench) -> None:
    """A 429 of a token service stops counted requests for minutes only."""
    bench.hub.faults.add(Fault("token", Status(429, headers={"Retry-After": "99999"})))
    await bench.fail(counts=True)

    error = await bench.fail(counts=True)
    assert isinstance(error, UpstreamThrottled)
    assert "429" in str(error)
    assert "pull limit" not in str(error)
    bench.now += LONGEST_THROTTLED_TIME
    assert await bench.ask(counts=True) == LAYER


async def test_pull_limit_is_noted(bench: Bench) -> None:
    """The pull limit in the headers of an answer is passed to `note_limit`."""
    bench.hub.pulls_left = 7
    await bench.ask(f"{NAME}/manifests/latest")
    assert [(bench.hub.url, "")] == [(each.endpoint, each.identity) for each in bench.limits]


async def test_expired_token_is_renewed(bench: Bench) -> None:
    """A 401 to a token that has not expired yet leads to one new login."""
    await bench.ask()
    bench.hub.expire_tokens()
    bench.hub.journal.clear()

    assert await bench.ask() == LAYER
    assert bench.hub.journal.count("token") == 1


@pytest.mark.parametrize(
    "realm",
    ["https://[", "https://h:port/t", "ftp://h.example/t", "token", "https://", "http://:1/"],
)
async def test_realm_must_be_an_address(bench: Bench, realm: str) -> None:
    """A token realm that is no web address is a faulty answer of the upstream."""
    bench.hub.realm_override = realm
    assert isinstance(await bench.fail(), UpstreamError)


async def test_wrong_realm_is_not_remembered(bench: Bench) -> None:
    """When a registry names a correct token realm after a wrong one, the login works again."""
    bench.hub.realm_override = "token"
    await bench.fail()
    bench.hub.realm_override = None

    assert await bench.ask() == LAYER
