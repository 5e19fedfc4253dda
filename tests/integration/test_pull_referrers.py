"""Referrers: proxied, filtered, stored, and made from the catalog without an upstream."""

from typing import Any

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Fault, Image, Status
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import Answer, fetch

INDEX = "application/vnd.oci.image.index.v1+json"
SIGNATURE, SBOM = "application/vnd.test.signature", "application/vnd.test.sbom"
REPOSITORY = "library/signed"


def sign(hub: FakeUpstream) -> tuple[Image, Image, Image]:
    """An image with a signature and a bill of materials."""
    image = hub.add_image(REPOSITORY, "1", [b"signed"])
    signature = hub.add_image(
        REPOSITORY, None, [b"signature"], subject=image, artifact_type=SIGNATURE
    )
    sbom = hub.add_image(
        REPOSITORY,
        None,
        [b"sbom"],
        subject=image,
        artifact_type=SBOM,
        annotations={"made.by": "a test"},
    )
    return image, signature, sbom


def ask(mirror: MirrorProcess | str, digest: str, query: str = "") -> Answer:
    """Ask a mirror, or one upstream behind it."""
    place = mirror if isinstance(mirror, str) else f"{mirror.url}/v2"
    return fetch(f"{place}/{REPOSITORY}/referrers/{digest}{query}")


def digests(answer: Answer) -> set[str]:
    return {entry["digest"] for entry in answer.json()["manifests"]}


def test_referrers_are_an_index(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """The list is an OCI index of exactly that content type, with what each entry says."""
    image, signature, sbom = sign(shared_hub)

    answer = ask(shared_mirror, image.digest)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == INDEX
    assert answer.json()["schemaVersion"] == 2
    assert answer.json()["mediaType"] == INDEX
    entries: dict[str, dict[str, Any]] = {
        each["digest"]: each for each in answer.json()["manifests"]
    }
    assert {signature.digest, sbom.digest} == set(entries)
    assert entries[signature.digest]["artifactType"] == SIGNATURE
    assert entries[sbom.digest]["annotations"] == {"made.by": "a test"}
    assert entries[sbom.digest]["size"] == len(sbom.manifest)
    assert answer.headers["OCI-Filters-Applied"] is None


def test_a_filter_is_applied_and_said(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """`artifactType` leaves only its entries, and a header says that it was done."""
    image, signature, _ = sign(shared_hub)

    answer = ask(shared_mirror, image.digest, f"?artifactType={SIGNATURE}")

    assert {signature.digest} == digests(answer)
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    assert answer.headers["Content-Type"] == INDEX


def test_a_digest_without_referrers_has_an_empty_list(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """Nothing refers to it: 200 with an empty list, as the specification wants."""
    _, signature, _ = sign(shared_hub)

    answer = ask(shared_mirror, signature.digest)

    assert (answer.status, answer.json()["manifests"]) == (200, [])


def test_a_bad_digest_is_400(shared_mirror: MirrorProcess) -> None:
    """What is no digest is refused as such."""
    answer = ask(shared_mirror, "latest")

    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


def test_an_upstream_without_referrers_is_passed_through(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """404 stays 404, for clients then use the tag scheme; and it is remembered."""
    image, *_ = sign(hub)
    hub.referrers_supported = False
    mirror = make_mirror(workers=1)

    answers = [ask(mirror, image.digest) for _ in range(5)]

    assert {404} == {answer.status for answer in answers}
    assert {"UNSUPPORTED"} == {answer.code for answer in answers}
    asked = [each for each in hub.journal.of("referrers") if each.status == 404]
    assert len(asked) == 1, hub.journal


def test_referrers_are_kept(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """While fresh the list is not asked for again, filtered or not."""
    image, *_ = sign(shared_hub)
    ask(shared_mirror, image.digest)
    shared_hub.journal.clear()

    answers = [
        ask(shared_mirror, image.digest),
        ask(shared_mirror, image.digest, f"?artifactType={SBOM}"),
    ]

    assert [len(digests(answer)) for answer in answers] == [2, 1]
    assert [answer.origin for answer in answers] == ["hit", "hit"]
    assert len(shared_hub.journal) == 0, shared_hub.journal


def test_referrers_outlive_the_upstream(place: str, shared_hub: FakeUpstream) -> None:
    """A list that was requested before is served with a warning when the upstream is down."""
    image, signature, sbom = sign(shared_hub)
    ask(place, image.digest)
    for each in (signature, sbom):
        fetch(f"{place}/{REPOSITORY}/manifests/{each.digest}")
    shared_hub.stop()

    answer = ask(place, image.digest)

    assert {signature.digest, sbom.digest} == digests(answer)
    assert answer.headers["Content-Type"] == INDEX
    assert answer.origin == "stale"
    assert answer.headers["Warning"].startswith('299 - "stale: ')


def test_listed_referrers_can_be_pulled_in_an_outage(place: str, shared_hub: FakeUpstream) -> None:
    """A kept list names only what is here: clients ask for each entry, and stop at an error."""
    image, signature, _ = sign(shared_hub)
    ask(place, image.digest)
    fetch(f"{place}/{REPOSITORY}/manifests/{signature.digest}")
    shared_hub.stop()

    answer = ask(place, image.digest)

    assert {signature.digest} == digests(answer)
    assert answer.headers["Warning"].startswith('299 - "1 referrers that are not stored here')
    assert fetch(f"{place}/{REPOSITORY}/manifests/{signature.digest}").status == 200


def test_an_unknown_list_is_empty_with_a_warning(place: str, shared_hub: FakeUpstream) -> None:
    """Without an answer there is no error, because clients would not pull the image then."""
    image, *_ = sign(shared_hub)
    shared_hub.stop()

    answer = ask(place, image.digest)

    assert (answer.status, answer.json()["manifests"]) == (200, [])
    assert answer.headers["Warning"].startswith('299 - "')


@pytest.mark.parametrize("was_asked", [False, True])
def test_offline_lists_are_made_of_what_is_here(
    make_mirror: MirrorMaker, hub: FakeUpstream, *, was_asked: bool
) -> None:
    """Offline, the kept list is served, or one is made of the manifests that are here."""
    image, signature, sbom = sign(hub)
    mirror = make_mirror({"tags": {"fresh_for": "0s"}}, workers=1)
    for digest in (image.digest, signature.digest, sbom.digest):
        fetch(f"{mirror.url}/v2/{REPOSITORY}/manifests/{digest}")
    if was_asked:
        ask(mirror, image.digest)
    mirror.stop()
    mirror.start("--offline")
    hub.journal.clear()

    whole = ask(mirror, image.digest)
    filtered = ask(mirror, image.digest, f"?artifactType={SIGNATURE}")

    assert {signature.digest, sbom.digest} == digests(whole)
    assert whole.headers["Content-Type"] == INDEX
    entries = {each["digest"]: each for each in whole.json()["manifests"]}
    assert entries[sbom.digest]["artifactType"] == SBOM
    assert entries[sbom.digest]["annotations"] == {"made.by": "a test"}
    assert {signature.digest} == digests(filtered)
    assert len(hub.journal) == 0, hub.journal


def test_a_portal_page_is_no_list(place: str, shared_hub: FakeUpstream) -> None:
    """A web page with status 200 is not taken for an empty list: it means "no referrers API"."""
    image, *_ = sign(shared_hub)
    page = Status(200, "<html>Log in</html>", {"Content-Type": "text/html"})
    shared_hub.faults.add(Fault("referrers", page, times=None), Fault("tags", page, times=None))

    assert ask(place, image.digest).status == 404
    assert fetch(f"{place}/{REPOSITORY}/tags/list").status == 502


@pytest.mark.parametrize("wrong", [None, Status(403), Status(405), Status(200, "a login page")])
def test_a_missing_list_hides_no_manifest(
    make_mirror: MirrorMaker, hub: FakeUpstream, wrong: Status | None
) -> None:
    """`oras cp -r` asks for the referrers of a digest before its manifest: one 404 is not both."""
    image = hub.add_image(REPOSITORY, "1", [b"signed"])
    hub.referrers_supported = False
    if wrong is not None:
        hub.faults.add(Fault("referrers", wrong, times=None))
    mirror = make_mirror(workers=1)

    listed = ask(mirror, image.digest)
    manifest = fetch(f"{mirror.url}/v2/{REPOSITORY}/manifests/{image.digest}")

    assert (listed.status, manifest.status) == (404, 200)


def test_a_missing_manifest_hides_no_list(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """A signature may be pushed before the image that it signs."""
    absent = "sha256:" + "0" * 64
    signature = hub.add_image(REPOSITORY, None, [b"early"], subject=absent, artifact_type=SIGNATURE)
    mirror = make_mirror(workers=1)

    manifest = fetch(f"{mirror.url}/v2/{REPOSITORY}/manifests/{absent}")
    listed = ask(mirror, absent)

    assert (manifest.status, listed.status) == (404, 200)
    assert digests(listed) == {signature.digest}
