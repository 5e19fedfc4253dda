"""The laws of the fake upstream while all goes well."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.fakes.client import ask, get_token, locate, pull
from tests.fakes.upstream import (
    FakeUpstream,
)

REPOSITORY = "library/thing"
LAYER = bytes(range(256)) * 40
MIB = 1 << 20


@pytest.fixture
def hub() -> Iterator[FakeUpstream]:
    with FakeUpstream() as fake:
        yield fake


@pytest.fixture
def blob(hub: FakeUpstream) -> str:
    return hub.add_image(REPOSITORY, "latest", [LAYER]).layers[0]


def test_a_request_without_token_is_challenged_and_with_one_is_served(hub, blob):
    """The challenge names realm, service and scope; the token is accepted."""
    bare = ask(f"{hub.url}/v2/{REPOSITORY}/manifests/latest")
    assert bare.status == 401
    assert bare.headers["WWW-Authenticate"] == (
        f'Bearer realm="{hub.realm}",service="{hub.service}",scope="repository:{REPOSITORY}:pull"'
    )
    assert pull(hub, REPOSITORY, "manifests/latest").status == 200


def test_unknown_things_are_refused_in_their_own_way(hub, blob):
    """Unknown tags, blobs and repositories have different error codes."""
    assert b"MANIFEST_UNKNOWN" in pull(hub, REPOSITORY, "manifests/nothing").body
    assert b"BLOB_UNKNOWN" in pull(hub, REPOSITORY, f"blobs/sha256:{'0' * 64}").body
    hub.remove_repository(REPOSITORY)
    assert b"NAME_UNKNOWN" in pull(hub, REPOSITORY, "manifests/latest").body
    hub.hub_style_unknown = True
    answer = pull(hub, REPOSITORY, "manifests/latest")
    assert answer.status == 401
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_head_and_get_of_a_manifest_agree(hub, blob):
    """Digest, type, length and ETag are the same; HEAD has no body."""
    image = hub.add_image(REPOSITORY, "docker", [LAYER], media="docker")
    head = pull(hub, REPOSITORY, "manifests/docker", method="HEAD")
    got = pull(hub, REPOSITORY, f"manifests/{image.digest}")
    assert (head.body, got.body) == (b"", image.manifest)
    for answer in (head, got):
        assert answer.headers["Docker-Content-Digest"] == image.digest
        assert answer.headers["Content-Type"] == image.media_type
        assert answer.headers["Content-Length"] == str(len(image.manifest))
        assert answer.headers["ETag"] == f'"{image.digest}"'


def test_an_index_points_to_its_images(hub):
    """`add_index` lists digest, size and platform of its members."""
    arm = hub.add_image(REPOSITORY, None, [LAYER], platform=("linux", "arm64"))
    index = hub.add_index(REPOSITORY, "multi", [arm])
    (member,) = pull(hub, REPOSITORY, "manifests/multi").json()["manifests"]
    assert member["digest"] == arm.digest == index.manifests[0]
    assert member["platform"] == {"os": "linux", "architecture": "arm64"}


def test_only_a_manifest_get_counts_as_a_pull(hub, blob):
    """A HEAD does not count; when no pull is left, a GET gets 429 and a HEAD does not."""
    hub.pulls_left = 1
    assert (
        pull(hub, REPOSITORY, "manifests/latest", method="HEAD").headers["ratelimit-remaining"]
        == "1;w=21600"
    )
    answer = pull(hub, REPOSITORY, "manifests/latest")
    assert answer.headers["ratelimit-limit"] == "100;w=21600"
    assert answer.headers["ratelimit-remaining"] == "0;w=21600"
    assert answer.headers["docker-ratelimit-source"] == "127.0.0.1"
    throttled = pull(hub, REPOSITORY, "manifests/latest")
    assert (throttled.status, b"TOOMANYREQUESTS" in throttled.body) == (429, True)
    assert pull(hub, REPOSITORY, "manifests/latest", method="HEAD").status == 200


def test_tags_are_listed_in_pages(hub):
    """`n` and `last` page through the tags, and Link leads to the next page."""
    for tag in "abc":
        hub.add_image(REPOSITORY, tag, [LAYER])
    first = pull(hub, REPOSITORY, "tags/list?n=2")
    assert first.json() == {"name": REPOSITORY, "tags": ["a", "b"]}
    assert first.headers["Link"] == f'</v2/{REPOSITORY}/tags/list?n=2&last=b>; rel="next"'
    last = pull(hub, REPOSITORY, "tags/list?n=2&last=b")
    assert (last.json()["tags"], last.headers["Link"]) == (["c"], None)
    hub.remove_tag(REPOSITORY, "b")
    assert pull(hub, REPOSITORY, "tags/list").json()["tags"] == ["a", "c"]


def test_referrers_come_from_subjects(hub):
    """An image with a subject is listed for it; without the API there is a 404."""
    base = hub.add_image(REPOSITORY, "latest", [LAYER])
    signature = hub.add_image(
        REPOSITORY, None, [b"s"], subject=base, artifact_type="a/b", annotations={"k": "v"}
    )
    hub.add_image(REPOSITORY, None, [b"t"], subject=base)
    answer = pull(hub, REPOSITORY, f"referrers/{base.digest}?artifactType=a/b")
    assert answer.headers["Content-Type"] == "application/vnd.oci.image.index.v1+json"
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    (found,) = answer.json()["manifests"]
    assert (found["digest"], found["annotations"]) == (signature.digest, {"k": "v"})
    assert len(pull(hub, REPOSITORY, f"referrers/{base.digest}").json()["manifests"]) == 2
    assert pull(hub, REPOSITORY, f"referrers/sha256:{'0' * 64}").json()["manifests"] == []
    hub.referrers_supported = False
    assert pull(hub, REPOSITORY, f"referrers/{base.digest}").status == 404


def test_a_blob_is_redirected_to_a_host_that_refuses_authorization(hub, blob):
    """The registry answers 307; the content host serves without Authorization, 400 with it."""
    redirect = pull(hub, REPOSITORY, f"blobs/{blob}")
    location = redirect.headers["Location"]
    assert (redirect.status, redirect.body) == (307, b"")
    assert location.startswith(hub.cdn_url)
    assert ask(location).body == LAYER
    assert ask(location, Authorization=get_token(hub, REPOSITORY)).status == 400


def test_a_signed_query_counts_byte_for_byte(hub, blob):
    """Any re-encoding of the query is a wrong signature."""
    location = locate(hub, REPOSITORY, blob)
    assert all(part in location for part in ("%2B", "%2F", "%3D", "a%20b+c"))
    for good, spoiled in (("%2F", "/"), ("%3D", "="), ("%2B", "%2b"), ("a%20b+c", "a+b+c")):
        answer = ask(location.replace(good, spoiled))
        assert (answer.status, b"SignatureDoesNotMatch" in answer.body) == (403, True)


def test_a_blob_is_served_only_where_it_was_granted(hub, blob):
    """A blob without a repository is unknown until `grant`."""
    loose = hub.add_blob(b"loose")
    assert pull(hub, REPOSITORY, f"blobs/{loose}").status == 404
    hub.grant(REPOSITORY, loose)
    assert ask(locate(hub, REPOSITORY, loose)).body == hub.blob(loose) == b"loose"


def test_without_redirects_the_registry_serves_the_blob(hub, blob):
    """`redirect_blobs = False` answers 200 with the digest header."""
    hub.redirect_blobs = False
    answer = pull(hub, REPOSITORY, f"blobs/{blob}")
    assert (answer.status, answer.body) == (200, LAYER)
    assert answer.headers["Docker-Content-Digest"] == blob
    assert hub.journal.blob_fetches(blob) == 1


@pytest.mark.parametrize(
    ("asked", "span"),
    [("bytes=10-19", (10, 20)), ("bytes=10000-", (10000, 10240)), ("bytes=-5", (10235, 10240))],
)
def test_a_single_range_gets_206(hub, blob, asked, span):
    """First-last, open-ended and suffix ranges are honoured."""
    answer = ask(locate(hub, REPOSITORY, blob), Range=asked)
    start, stop = span
    assert (answer.status, answer.body) == (206, LAYER[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(LAYER)}"


def test_other_ranges(hub, blob):
    """A range after the end gets 416; several or malformed ranges get 200."""
    location = locate(hub, REPOSITORY, blob)
    beyond = ask(location, Range=f"bytes={len(LAYER)}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(LAYER)}")
    for asked in ("bytes=0-1,4-5", "bytes=9-3", "bytes=-", "lines=1-2"):
        assert ask(location, Range=asked).status == 200
    hub.ranges_supported = False
    assert ask(location, Range="bytes=1-").body == LAYER


def test_big_blobs_are_deterministic_and_whole(hub):
    """Size and seed determine the bytes, and the digest is that of the bytes."""
    size = 3 * MIB + 12345
    digest = hub.add_big_blob(size, 7, REPOSITORY)
    data = ask(locate(hub, REPOSITORY, digest)).body
    assert len(data) == size
    assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
    assert data[:MIB] != data[MIB : 2 * MIB]
    assert (
        ask(locate(hub, REPOSITORY, digest), Range="bytes=1048570-1048600").body
        == data[1048570:1048601]
    )
    assert hub.add_big_blob(size, 8) != digest == hub.add_big_blob(size, 7)


def test_the_total_rate_is_shared_and_the_connection_rate_is_not(hub):
    """Two fetches at once are never faster than the rate says, and within 3 % of it."""
    digest = hub.add_big_blob(4 * MIB, 1, REPOSITORY)
    hub.rate = 10 * MIB
    assert time_two(hub, digest, 0.8) == pytest.approx(0.8, rel=0.03)
    hub.rate, hub.connection_rate = None, 10 * MIB
    assert time_two(hub, digest, 0.4) == pytest.approx(0.4, rel=0.03)


def time_two(hub: FakeUpstream, digest: str, due: float) -> float:
    """Seconds that two fetches at once take on the server's clock.

    A busy machine may be late, so a slow measurement is repeated; a fast one is a fault.
    """
    for _ in range(4):
        locations = [locate(hub, REPOSITORY, digest) for _ in range(2)]
        hub.journal.clear()
        threads = [threading.Thread(target=ask, args=(location,)) for location in locations]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        entries = hub.journal.of("cdn")
        ends = [entry.finished for entry in entries if entry.finished is not None]
        took = max(ends) - min(entry.started for entry in entries)
        if took <= due * 1.03:
            break
    return took


def test_the_journal_counts_what_was_sent(hub, blob):
    """It counts requests and bytes of content; redirects and HEADs have none."""
    location = locate(hub, REPOSITORY, blob)
    ask(location, Range="bytes=0-99")
    ask(location)
    ask(location, method="HEAD")
    assert hub.journal.blob_fetches(blob) == 2
    assert hub.journal.bytes_sent(blob) == 100 + len(LAYER)
    assert hub.journal.count("blob", "GET", blob) == 1
    (entry, *_) = hub.journal.of("cdn", contains="a%20b+c")
    assert (entry.status, entry.headers["Range"]) == (206, "bytes=0-99")
    assert entry.started <= entry.first_byte_at <= entry.finished
    assert "206" in str(hub.journal)
    hub.journal.clear()
    assert len(hub.journal) == 0


def test_a_backend_supplies_what_is_not_in_memory(hub, blob):
    """Content of the registry behind is served with tokens and redirects too."""
    hub.auth, hub.redirect_blobs = "none", False
    with FakeUpstream(backend=hub.url) as front:
        front.add_image(REPOSITORY, "own", [b"mine"])
        assert (
            pull(front, REPOSITORY, "manifests/latest").body
            == pull(hub, REPOSITORY, "manifests/latest").body
        )
        assert pull(front, REPOSITORY, "tags/list").json()["tags"] == ["latest", "own"]
        for _ in range(2):
            assert ask(locate(front, REPOSITORY, blob)).body == LAYER
        assert front.journal.blob_fetches(blob) == 2
        assert hub.journal.blob_fetches(blob) == 1
        assert pull(front, REPOSITORY, "manifests/nothing").status == 404


def test_the_standalone_fake_says_where_it_is_and_ends_on_sigterm():
    """The command prints one line of JSON and serves the images it was given."""
    command = [sys.executable, "-m", "tests.fakes.upstream", "--blob", "64KiB:team/app:1"]
    with subprocess.Popen(
        [*command, "--rate", "40MiB", "--auth", "none"], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            hello = json.loads(process.stdout.readline())
            answer = ask(hello["url"] + "/v2/team/app/manifests/1")
            image = hello["images"]["team/app:1"]
            assert answer.headers["Docker-Content-Digest"] == image["digest"]
            assert answer.json()["layers"][0]["size"] == 64 << 10
        finally:
            process.terminate()
        assert process.wait(5) == 0
