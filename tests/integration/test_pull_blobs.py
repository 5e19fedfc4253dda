"""Blobs through the pull API: whole, in ranges, conditionally, under both algorithms."""

import email
import hashlib

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream.content import Held
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import Answer, fetch, wait_until

LAYER = bytes(range(256)) * 16
SIZE = len(LAYER)
REPOSITORY = "library/ranged"


@pytest.fixture
def blob(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> str:
    """The URL of a blob that is here already."""
    image = shared_hub.add_image(REPOSITORY, "1", [LAYER])
    url = f"{shared_mirror.url}/v2/{REPOSITORY}/blobs/{image.layers[0]}"
    assert fetch(url).body == LAYER
    wait_until(lambda: fetch(url, method="HEAD").origin == "hit", "the blob is stored")
    return url


def digest_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_head_equals_get(blob: str) -> None:
    """A HEAD has the headers of the GET, named after the digest, and no body."""
    head, get = fetch(blob, method="HEAD"), fetch(blob)

    assert get.body == LAYER
    assert head.body == b""
    assert get.lasting_headers == head.lasting_headers
    assert head.headers["Content-Length"] == str(SIZE)
    assert head.headers["Docker-Content-Digest"] == digest_of(blob)
    assert head.headers["ETag"] == f'"{digest_of(blob)}"'
    assert head.headers["Content-Type"] == "application/octet-stream"
    assert head.headers["Accept-Ranges"] == "bytes"
    assert head.origin == "hit"


def test_a_head_fetches_nothing(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """A HEAD of a blob that is not stored returns its size and transfers nothing."""
    image = shared_hub.add_image("library/looked-at", "1", [b"looked at" * 99])
    digest = image.layers[0]

    answer = fetch(f"{shared_mirror.url}/v2/library/looked-at/blobs/{digest}", method="HEAD")

    assert answer.status == 200
    assert answer.headers["Content-Length"] == str(len(b"looked at" * 99))
    assert shared_hub.journal.blob_fetches(digest) == 0, shared_hub.journal


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-", 0, SIZE),
        ("bytes=100-", 100, SIZE),
        ("bytes=100-199", 100, 200),
        ("bytes=0-0", 0, 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=100-{SIZE * 2}", 100, SIZE),
        ("bytes=-100", SIZE - 100, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        ("BYTES=5-9", 5, 10),
    ],
)
def test_one_range_is_partial_content(blob: str, asked: str, start: int, stop: int) -> None:
    """Every form of a single range is 206 with exactly those bytes."""
    answer = fetch(blob, {"Range": asked})

    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(stop - start)
    assert answer.body == LAYER[start:stop]


@pytest.mark.parametrize(
    "asked",
    [
        *(f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0", f"bytes={SIZE}-,{SIZE}-"),
        *("bytes=500-0", "bytes=9-8", "bytes=500-0,9-5", f"bytes=500-0,{SIZE}-"),
    ],
)
def test_a_range_without_bytes_is_416(blob: str, asked: str) -> None:
    """A range that touches nothing is 416 and names the size; so is one that ends too early."""
    answer = fetch(blob, {"Range": asked})

    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
    assert answer.code == "RANGE_INVALID"


@pytest.mark.parametrize(
    "asked",
    [
        *("bytes=", "bytes=-", "bytes=b-a", "lines=1-2", "0-5", "bytes=0-5-9", "bytes 0-5"),
        *("bytes=0-9,9-5", "bytes=500-0,x"),
    ],
)
def test_a_malformed_range_is_no_range(blob: str, asked: str) -> None:
    """What cannot be read as a range is ignored (RFC 9110 section 14.2): 200 with the whole."""
    answer = fetch(blob, {"Range": asked})

    assert (answer.status, answer.body) == (200, LAYER)


@pytest.mark.parametrize(
    ("asked", "spans"),
    [
        ("bytes=0-9,100-199", [(0, 10), (100, 200)]),
        ("bytes=100-199, 0-9, -5", [(100, 200), (0, 10), (SIZE - 5, SIZE)]),
        (f"bytes=0-9,{SIZE + 1}-,20-29", [(0, 10), (20, 30)]),
    ],
)
def test_several_ranges_are_multipart(blob: str, asked: str, spans: list[tuple[int, int]]) -> None:
    """Several ranges are 206 multipart/byteranges, a part for each that can be satisfied."""
    answer = fetch(blob, {"Range": asked})

    assert answer.status == 206
    assert answer.headers["Content-Length"] == str(len(answer.body))
    expected = [(f"bytes {start}-{stop - 1}/{SIZE}", LAYER[start:stop]) for start, stop in spans]
    assert expected == read_parts(answer)


def read_parts(answer: Answer) -> list[tuple[str, bytes]]:
    """The Content-Range and the bytes of each part of a multipart answer."""
    kind, _, boundary = answer.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    before, *parts, after = answer.body.split(b"\r\n--" + boundary.encode())
    assert (before, after) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        headers = email.message_from_bytes(head.removeprefix(b"\r\n"))
        assert headers["Content-Type"] == "application/octet-stream"
        found.append((headers["Content-Range"], content))
    return found


@pytest.mark.parametrize(
    "asked", ["bytes=0-9,5000-", "bytes=0-,0-", ",".join(["bytes=0-9", *["20-29"] * 100])]
)
def test_several_ranges_are_never_416(blob: str, asked: str) -> None:
    """With one range that can be satisfied, or with too many, the answer has the content."""
    assert fetch(blob, {"Range": asked}).status in {200, 206}


def test_two_headers_are_no_range(blob: str) -> None:
    """`Range` is not a list of headers, so two of them are malformed, and ignored."""
    answer = fetch(blob, [("Range", "bytes=0-9"), ("Range", "bytes=10-19")])

    assert (answer.status, answer.body) == (200, LAYER)


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=0-0", "bytes=-5", "bytes=9-", "bytes=500-0"])
def test_every_range_of_an_empty_blob_is_the_whole(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, asked: str
) -> None:
    """Some clients ask for a range of every blob; one that has no bytes is 200 (RFC 9110 14.2)."""
    empty = shared_hub.add_blob(b"", "library/empty")

    for _ in ("downloaded", "stored"):
        answer = fetch(f"{shared_mirror.url}/v2/library/empty/blobs/{empty}", {"Range": asked})

        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["Content-Length"] == "0"


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"{}"', 206),
        ('"sha256:0000"', 200),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 200),
    ],
)
def test_if_range_decides(blob: str, condition: str, status: int) -> None:
    """A range is honoured only while `If-Range` names what is here."""
    condition = condition.format(digest_of(blob))

    answer = fetch(blob, {"Range": "bytes=10-19", "If-Range": condition})

    assert (status, LAYER[10:20] if status == 206 else LAYER) == (answer.status, answer.body)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_known_blob_is_not_sent_again(blob: str, method: str) -> None:
    """`If-None-Match` that names the blob is 304."""
    answer = fetch(blob, {"If-None-Match": f'"{digest_of(blob)}"'}, method=method)

    assert (answer.status, answer.body) == (304, b"")


def test_a_cold_blob_is_served_in_a_range(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """A range of a blob that is not here yet is right, and the blob is fetched once, whole."""
    layer = LAYER[::-1] * 50
    image = shared_hub.add_image("library/cold", "1", [layer])
    url = f"{shared_mirror.url}/v2/library/cold/blobs/{image.layers[0]}"

    answer = fetch(url, {"Range": "bytes=1000-1999"})

    assert (answer.status, answer.body) == (206, layer[1000:2000])
    assert fetch(url).body == layer
    assert shared_hub.journal.blob_fetches(image.layers[0]) == 1, shared_hub.journal


def test_sha512_names_content_too(shared_mirror: MirrorProcess, shared_hub: FakeUpstream) -> None:
    """A blob and a manifest named by sha512 are fetched, verified, kept and served."""
    repository, layer = "library/long-digest", b"named by sha512" * 50
    blob = "sha512:" + hashlib.sha512(layer).hexdigest()
    shared_hub._store(blob, Held(layer), repository)
    image = shared_hub.add_image(repository, None, [blob])
    digest = "sha512:" + hashlib.sha512(image.manifest).hexdigest()
    shared_hub.add_manifest(repository, digest, image.manifest, image.media_type)

    for _ in range(2):
        manifest = fetch(f"{shared_mirror.url}/v2/{repository}/manifests/{digest}")
        content = fetch(f"{shared_mirror.url}/v2/{repository}/blobs/{blob}")

        assert (manifest.status, manifest.body) == (200, image.manifest)
        assert manifest.headers["Docker-Content-Digest"] == digest
        assert (content.status, content.body) == (200, layer)
    assert shared_hub.journal.blob_fetches(blob) == 1, shared_hub.journal


@pytest.mark.parametrize(
    ("digest", "status", "code"),
    [
        ("sha256:" + "0" * 64, 404, "BLOB_UNKNOWN"),
        ("sha256:" + "0" * 65, 400, "DIGEST_INVALID"),
        ("sha256:" + "G" * 64, 400, "DIGEST_INVALID"),
        ("latest", 400, "DIGEST_INVALID"),
    ],
)
def test_bad_digests_have_their_own_codes(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, digest: str, status: int, code: str
) -> None:
    """An absent blob is 404 BLOB_UNKNOWN, what is no digest 400 DIGEST_INVALID."""
    shared_hub.add_image("library/digests", "1", [b"x"])

    answer = fetch(f"{shared_mirror.url}/v2/library/digests/blobs/{digest}")

    assert (status, code) == (answer.status, answer.code)


def test_bytes_are_shared_and_permission_is_not(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """A digest alone opens nothing: a repository without the blob does not give it out."""
    image = shared_hub.add_image("library/owner", "1", [b"owned" * 100])
    shared_hub.add_image("library/stranger", "1", [b"other"])
    owned = f"{shared_mirror.url}/v2/library/owner/blobs/{image.layers[0]}"
    assert fetch(owned).status == 200

    answer = fetch(owned.replace("owner", "stranger"))

    assert (answer.status, answer.code) == (404, "BLOB_UNKNOWN")
