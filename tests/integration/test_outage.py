"""What clients get while an upstream does not answer, besides known tags (see test_stale.py)."""

from collections.abc import Callable

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Status
from tests.integration.images import warm
from tests.integration.wire import fetch

NAME = "team/app"
AT_ONCE = 0.3  # seconds for an answer while the upstream is known to be down
TRIES = 3  # on a busy machine the upstream may not answer the first question in time


def stop(hub: FakeUpstream) -> None:
    hub.stop()


def hang(hub: FakeUpstream) -> None:
    hub.hang()


def throttle(hub: FakeUpstream) -> None:
    hub.faults.add(Fault("any", Status(429, "{}"), times=None))


def answer_500(hub: FakeUpstream) -> None:
    hub.faults.add(Fault("any", Status(500), times=None))


def answer_503(hub: FakeUpstream) -> None:
    hub.faults.add(Fault("any", Status(503), times=None))


def answer_503_for_a_second(hub: FakeUpstream) -> None:
    hub.faults.add(Fault("any", Status(503, headers={"Retry-After": "1"}), times=None))


OUTAGES = [stop, hang, throttle, answer_500, answer_503, answer_503_for_a_second]


@pytest.mark.parametrize("break_off", OUTAGES)
def test_known_image_has_no_failing_referrers(
    place: str, shared_hub: FakeUpstream, break_off: Callable[[FakeUpstream], None]
) -> None:
    """dockerd 29 asks for the referrers of each attestation manifest, and for their tag.

    It gives the pull up if one of these answers is neither a list nor 404.
    """
    image = shared_hub.add_image(NAME, "1", [b"layer"])
    proof = shared_hub.add_image(NAME, None, [b"attestation"])
    for reference in ("1", image.digest, proof.digest):
        fetch(f"{place}/{NAME}/manifests/{reference}")
    break_off(shared_hub)

    known = fetch(f"{place}/{NAME}/manifests/1")
    lists = [fetch(f"{place}/{NAME}/referrers/{each.digest}") for each in (proof, image)]
    tag = proof.digest.replace(":", "-")
    tags = [fetch(f"{place}/{NAME}/manifests/{tag}{suffix}") for suffix in ("", ".sig", ".att")]

    shared_hub.unhang()
    assert (known.status, known.origin) == (200, "stale")
    assert [(each.status, each.json()["manifests"]) for each in lists] == [(200, [])] * 2
    assert all(each.headers["Warning"].startswith('299 - "') for each in lists)
    assert [(each.status, each.code) for each in tags] == [(404, "MANIFEST_UNKNOWN")] * 3
    assert max(each.seconds for each in (*lists, *tags)) < AT_ONCE


def test_repository_without_the_api_answers_404_in_an_outage(
    place: str, shared_hub: FakeUpstream
) -> None:
    """A repository answers requests for referrers with 200 or with 404, and never with both."""
    image = shared_hub.add_image(NAME, "1", [b"layer"])
    shared_hub.referrers_supported = False
    first = fetch(f"{place}/{NAME}/referrers/{image.digest}")
    shared_hub.stop()

    later = fetch(f"{place}/{NAME}/referrers/{image.layers[0]}")

    assert (first.status, later.status) == (404, 404)


@pytest.mark.parametrize("break_off", [stop, answer_503])
def test_content_is_served_as_soon_as_the_upstream_is_back(
    place: str, shared_hub: FakeUpstream, break_off: Callable[[FakeUpstream], None]
) -> None:
    """However often the upstream failed, it is asked again for content that is not here."""
    image = shared_hub.add_image(NAME, "1", [b"layer"])
    break_off(shared_hub)
    failed = [fetch(f"{place}/{NAME}/manifests/1").status for _ in range(12)]
    shared_hub.start()
    shared_hub.faults.clear()

    manifest = fetch(f"{place}/{NAME}/manifests/1")
    layer = fetch(f"{place}/{NAME}/blobs/{image.layers[0]}")

    assert set(failed) == {503}
    assert (manifest.status, layer.status, layer.body) == (200, 200, b"layer")


@pytest.mark.parametrize("question", ["signature", "referrers", "tags"])
@pytest.mark.parametrize("break_off", [stop, answer_503])
def test_signatures_and_tags_are_found_as_soon_as_the_upstream_is_back(
    place: str, shared_hub: FakeUpstream, break_off: Callable[[FakeUpstream], None], question: str
) -> None:
    """What is not recorded is asked for, although "nothing is known" could be the answer."""
    image = shared_hub.add_image(NAME, "1", [b"layer"])
    tag = image.digest.replace(":", "-") + ".sig"
    signature = shared_hub.add_image(NAME, tag, [b"signature"], subject=image)
    fetch(f"{place}/{NAME}/manifests/1")
    break_off(shared_hub)
    for _ in range(12):  # until the circuit breaker is open for a minute
        fetch(f"{place}/{NAME}/manifests/cold")
    shared_hub.start()
    shared_hub.faults.clear()

    path = {
        "signature": f"manifests/{tag}",
        "referrers": f"referrers/{image.digest}",
        "tags": "tags/list",
    }
    for _ in range(TRIES):
        answer = fetch(f"{place}/{NAME}/{path[question]}")
        if answer.status == 200 and answer.headers["Warning"] is None:
            break

    found = {
        "signature": lambda: answer.headers["Docker-Content-Digest"] == signature.digest,
        "referrers": lambda: answer.json()["manifests"][0]["digest"] == signature.digest,
        "tags": lambda: answer.json()["tags"] == sorted(["1", tag]),
    }
    assert (answer.status, answer.headers["Warning"]) == (200, None)
    assert found[question]()


@pytest.mark.parametrize("break_off", [answer_503, answer_503_for_a_second, throttle, stop])
def test_known_tag_does_not_wait_for_a_failing_upstream(
    place: str, shared_hub: FakeUpstream, break_off: Callable[[FakeUpstream], None]
) -> None:
    """The first failure is enough: also the first answer takes no longer than `AT_ONCE`."""
    shared_hub.add_image(NAME, "1", [b"layer"])
    fetch(f"{place}/{NAME}/manifests/1")
    break_off(shared_hub)

    answer = fetch(f"{place}/{NAME}/manifests/1")

    assert (answer.status, answer.origin) == (200, "stale")
    assert answer.seconds < AT_ONCE


def test_known_tags_are_served_before_the_upstream_answers(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """With `tags.wait_for = "0s"` no client waits for an upstream that hangs, not even the first.

    The question goes on, and its answer serves the next client.
    """
    mirror = make_mirror({"tags": {"fresh_for": "0s", "wait_for": "0s"}}, workers=1)
    url = f"{mirror.url}/v2/{NAME}/manifests/1"
    image = hub.add_image(NAME, "1", [b"layer"])
    assert fetch(url).body == image.manifest
    hub.hang()

    answer = fetch(url)

    hub.unhang()
    assert (answer.status, answer.origin) == (200, "stale")
    assert answer.seconds < AT_ONCE


def test_warming_records_the_referrers_of_every_manifest(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """After `images warm` alone, the lists are here: also those of referrers.

    A list with a `Warning` would be what the mirror answers without a record.
    """
    image = hub.add_image(NAME, "1", [b"layer"])
    sbom = hub.add_image(NAME, None, [b"sbom"], subject=image, artifact_type="a/sbom")
    signature = hub.add_image(NAME, None, [b"signature"], subject=sbom, artifact_type="a/sig")
    mirror = make_mirror(workers=1)
    warm(mirror, f"{NAME}:1")
    hub.stop()

    base = f"{mirror.url}/v2/{NAME}"
    lists = [fetch(f"{base}/referrers/{each.digest}") for each in (image, sbom, signature)]

    found = [[entry["digest"] for entry in each.json()["manifests"]] for each in lists]
    assert found == [[sbom.digest], [signature.digest], []]
    assert [each.headers["Warning"] for each in lists] == [None] * 3
    assert fetch(f"{base}/manifests/{signature.digest}").status == 200
