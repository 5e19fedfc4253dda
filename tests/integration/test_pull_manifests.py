"""Manifests through the pull API: the upstream's bytes, and headers that GET and HEAD share."""

from typing import Literal

import pytest

from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, send_raw, status_of

Media = Literal["oci", "docker"]
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


def add(hub: FakeUpstream, media: Media, kind: str) -> Image:
    """An image or an index of two in one of the two families of media types."""
    name = f"library/{media}-{kind}"
    members = [
        hub.add_image(name, None, [name.encode()], media=media, platform=("linux", architecture))
        for architecture in ("amd64", "arm64")
    ]
    if kind == "index":
        return hub.add_index(name, "1", members, media=media)
    hub.tag(name, "1", members[0].digest)
    return members[0]


@pytest.mark.parametrize("kind", ["image", "index"])
@pytest.mark.parametrize("media", ["oci", "docker"])
def test_manifests_are_the_upstreams_bytes(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, media: Media, kind: str
) -> None:
    """By tag and by digest, the first time and later, a manifest arrives byte for byte."""
    image = add(shared_hub, media, kind)

    for reference in ("1", "1", image.digest, *image.manifests):
        url = f"{shared_mirror.url}/v2/{image.repository}/manifests/{reference}"
        answer = fetch(url, {"Accept": image.media_type})
        if reference in image.manifests:
            assert answer.headers["Docker-Content-Digest"] == reference
            continue
        assert answer.body == image.manifest
        assert answer.headers["Content-Type"] == image.media_type
        assert answer.headers["Docker-Content-Digest"] == image.digest
        assert answer.headers["ETag"] == f'"{image.digest}"'
        assert answer.headers["Content-Length"] == str(len(image.manifest))


@pytest.mark.parametrize("is_known", [False, True])
def test_head_equals_get(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, *, is_known: bool
) -> None:
    """A HEAD has the headers of the GET, whether or not the image was known, and no body."""
    image = shared_hub.add_image(f"library/head-{is_known}".lower(), "1", [bytes([is_known])])
    url = f"{shared_mirror.url}/v2/{image.repository}/manifests/1"
    if is_known:
        fetch(url)

    head = fetch(url, method="HEAD")
    get = fetch(url)

    assert head.body == b""
    assert get.body == image.manifest
    assert get.lasting_headers == head.lasting_headers


@pytest.mark.parametrize(
    "accept",
    [
        [],
        [("Accept", "*/*")],
        [("Accept", "text/html")],
        [("Accept", DOCKER), ("Accept", "application/vnd.oci.image.manifest.v1+json")],
        [("Accept", f"{DOCKER}, application/json;q=0.5"), ("Accept", "text/plain")],
    ],
)
def test_accept_never_changes_the_bytes(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, accept: list[tuple[str, str]]
) -> None:
    """Whatever the Accept lines say, nothing is converted and no child is swapped in."""
    image = add(shared_hub, "oci", "index")

    answer = fetch(f"{shared_mirror.url}/v2/{image.repository}/manifests/1", accept)

    assert answer.status == 200
    assert answer.body == image.manifest
    assert answer.headers["Content-Type"] == image.media_type


def test_the_upstream_is_asked_for_every_type(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """One client's taste does not decide what is kept for others: all types are asked for."""
    image = shared_hub.add_image("library/taste", "1", [b"taste"])
    shared_hub.journal.clear()

    fetch(f"{shared_mirror.url}/v2/library/taste/manifests/1", {"Accept": DOCKER})

    asked = shared_hub.journal.of("manifest", "GET", "library/taste")
    assert len(asked) == 1
    assert image.media_type in asked[0].headers["Accept"]
    assert DOCKER in asked[0].headers["Accept"]


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', "{}", '"other", "{}"', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_known_manifest_is_not_sent_again(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, form: str, method: str
) -> None:
    """`If-None-Match` that names the manifest, in any form clients use, is 304 without a body."""
    image = shared_hub.add_image("library/unchanged", "1", [b"x"])
    url = f"{shared_mirror.url}/v2/library/unchanged/manifests/1"

    answer = fetch(url, {"If-None-Match": form.format(image.digest)}, method=method)

    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["ETag"] == f'"{image.digest}"'
    assert answer.headers["Docker-Content-Digest"] == image.digest


def test_another_etag_gets_the_manifest(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """`If-None-Match` that names something else changes nothing."""
    image = shared_hub.add_image("library/changed", "1", [b"x"])
    url = f"{shared_mirror.url}/v2/library/changed/manifests/1"

    answer = fetch(url, {"If-None-Match": f'"sha256:{"0" * 64}"'})

    assert (answer.status, answer.body) == (200, image.manifest)


def test_nobody_needs_a_host_header(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """An HTTP/1.0 request without Host is answered like any other."""
    image = shared_hub.add_image("library/old", "1", [b"x"])

    response = send_raw(shared_mirror.host, b"GET /v2/library/old/manifests/1 HTTP/1.0\r\n\r\n")

    assert status_of(response) == 200
    assert response.endswith(image.manifest)


@pytest.mark.parametrize(
    ("reference", "status", "code"),
    [
        ("absent", 404, "MANIFEST_UNKNOWN"),
        ("sha256:" + "0" * 64, 404, "MANIFEST_UNKNOWN"),
        ("-bad", 400, "TAG_INVALID"),
        (".bad", 400, "TAG_INVALID"),
        ("a" * 129, 400, "TAG_INVALID"),
        ("sha256:" + "0" * 63, 400, "DIGEST_INVALID"),
        ("sha256:" + "A" * 64, 400, "DIGEST_INVALID"),
        ("md5:" + "0" * 32, 400, "DIGEST_INVALID"),
        ("sha512:" + "0" * 64, 400, "DIGEST_INVALID"),
    ],
)
def test_bad_references_have_their_own_codes(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, reference: str, status: int, code: str
) -> None:
    """Absent is 404; malformed is 400 with the code of the fault, and no upstream is asked."""
    shared_hub.add_image("library/references", "1", [b"x"])
    shared_hub.journal.clear()

    answer = fetch(f"{shared_mirror.url}/v2/library/references/manifests/{reference}")

    assert (status, code) == (answer.status, answer.code)
    assert answer.headers["Content-Type"] == "application/json"
    if status == 400:
        assert len(shared_hub.journal) == 0, shared_hub.journal
