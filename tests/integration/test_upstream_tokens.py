"""Tokens of an upstream: fetched once, kept, renewed early, and again after a refusal."""

import httpx
import pytest

from registry.upstream.tokens import TokenCache, TokenKey
from tests.fakes.upstream import Delay, FakeUpstream, Fault, Status
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, fetch_all

MANY = 12


def add_tags(hub: FakeUpstream, repository: str) -> list[str]:
    """A repository with many different images."""
    tags = [f"t{number}" for number in range(MANY)]
    for tag in tags:
        hub.add_image(repository, tag, [f"{repository}:{tag}".encode()])
    return tags


def test_a_token_is_fetched_once_however_many_ask(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """Many clients that need the same token before there is one wait for the same request."""
    tags = add_tags(shared_hub, "team/crowd")
    shared_hub.journal.clear()
    shared_hub.faults.add(Fault("token", Delay(0.5)))

    answers = fetch_all(
        [f"{shared_mirror.url}/v2/team/crowd/manifests/{tag}" for tag in tags], at_once=MANY
    )

    assert {200} == {answer.status for answer in answers}
    assert shared_hub.journal.count("token") == 1, shared_hub.journal


def test_a_token_is_used_again(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """Later requests carry the token at once: neither a token nor a 401 more."""
    tags = add_tags(shared_hub, "team/later")
    fetch(f"{shared_mirror.url}/v2/team/later/manifests/{tags[0]}")
    shared_hub.journal.clear()

    for tag in tags[1:]:
        assert fetch(f"{shared_mirror.url}/v2/team/later/manifests/{tag}").status == 200

    assert shared_hub.journal.count("token") == 0, shared_hub.journal
    assert not [entry for entry in shared_hub.journal if entry.status == 401], shared_hub.journal


def test_each_repository_has_its_own_token(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """A token is asked for with the scope of one repository, to pull."""
    for name in ("team/one", "team/two"):
        shared_hub.add_image(name, "1", [name.encode()])
    shared_hub.journal.clear()

    for name in ("team/one", "team/two"):
        assert fetch(f"{shared_mirror.url}/v2/{name}/manifests/1").status == 200

    asked = [httpx.QueryParams(entry.query) for entry in shared_hub.journal.of("token")]
    assert [each["scope"] for each in asked] == [
        "repository:team/one:pull",
        "repository:team/two:pull",
    ]
    assert [each["service"] for each in asked] == ["registry.fake"] * 2


def test_a_refused_token_is_renewed_once(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """Tokens that end early cost one re-authentication, however many requests find out."""
    tags = add_tags(shared_hub, "team/expired")
    fetch(f"{shared_mirror.url}/v2/team/expired/manifests/{tags[0]}")
    shared_hub.expire_tokens()
    shared_hub.journal.clear()
    shared_hub.faults.add(Fault("token", Delay(0.3)))

    answers = fetch_all(
        [f"{shared_mirror.url}/v2/team/expired/manifests/{tag}" for tag in tags[1:]], at_once=MANY
    )

    assert {200} == {answer.status for answer in answers}
    assert shared_hub.journal.count("token") == 1, shared_hub.journal


def test_a_token_that_ends_before_the_blob_is_renewed(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """Between manifest and blob the token may end: the client notices nothing."""
    image = shared_hub.add_image("team/between", "1", [b"between" * 1000])
    base = f"{shared_mirror.url}/v2/team/between"
    fetch(f"{base}/manifests/1")
    shared_hub.expire_tokens()
    shared_hub.journal.clear()

    answer = fetch(f"{base}/blobs/{image.layers[0]}")

    assert (answer.status, answer.body) == (200, b"between" * 1000)
    assert shared_hub.journal.count("token") == 1, shared_hub.journal


def test_an_upstream_that_refuses_every_token_is_not_asked_for_ever(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """After one re-authentication a 401 stands: the client gets 404, and soon."""
    shared_hub.add_image("team/refused", "1", [b"refused"])
    refusal = Status(
        401,
        b"{}",
        {"WWW-Authenticate": f'Bearer realm="{shared_hub.realm}",service="registry.fake"'},
    )
    fault = shared_hub.faults.add(Fault("manifest", refusal, contains="refused", times=None))
    shared_hub.journal.clear()

    answer = fetch(f"{shared_mirror.url}/v2/team/refused/manifests/1")

    shared_hub.faults.clear()
    assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")
    assert fault.applied <= 2, shared_hub.journal
    assert shared_hub.journal.count("token") <= 2, shared_hub.journal


@pytest.mark.parametrize(
    "trouble",
    [
        Status(503),
        Status(200, "<html>Log in</html>", {"Content-Type": "text/html"}),
        Status(200, '{"token": "a\\r\\nX-Evil: 1"}', {"Content-Type": "application/json"}),
        Status(200, "[]", {"Content-Type": "application/json"}),
        Status(429, b"", {"Retry-After": "1"}),
    ],
    ids=["503", "portal", "header injection", "no object", "429"],
)
def test_a_broken_token_service_leaves_known_images(
    place: str, shared_hub: FakeUpstream, trouble: Status
) -> None:
    """Without a token the known image is served stale, and an unknown one is no 404."""
    image = shared_hub.add_image("team/known", "1", [b"known"])
    fetch(f"{place}/team/known/manifests/1")
    shared_hub.expire_tokens()
    shared_hub.faults.add(Fault("token", trouble, times=None))

    known = fetch(f"{place}/team/known/manifests/1")
    unknown = fetch(f"{place}/team/unknown/manifests/1")

    assert (known.status, known.origin, known.body) == (200, "stale", image.manifest)
    assert known.headers["Warning"].startswith('299 - "')
    assert unknown.status in {502, 503}
    assert not [entry for entry in shared_hub.journal if "X-Evil" in entry.headers]


async def test_tokens_are_renewed_early(hub: FakeUpstream) -> None:
    """At four fifths of its life a token is replaced, before anybody refuses it."""
    hub.token_ttl = 300
    now = [1000.0]
    key = TokenKey(hub.realm, "registry.fake", "repository:team/early:pull", "")
    async with httpx.AsyncClient() as client:
        tokens = TokenCache(client, lambda: now[0])
        first = await tokens.get(key, None)
        now[0] += 239
        kept = await tokens.get(key, None)
        now[0] += 2
        renewed = await tokens.get(key, None)

    assert first == kept
    assert renewed != kept
    assert hub.journal.count("token") == 2, hub.journal
