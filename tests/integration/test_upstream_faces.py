"""Upstreams as they are: whatever a registry does in its own way, its images come through.

Each row is what some registry does. Clients cope with it directly, and so through the mirror.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.upstream import FACES, ROBOT, Cut, Fault, Image
from tests.harness.mirror import MirrorProcess
from tests.integration.faces import NO_API, Faces, Row, each_row, open_faces, row
from tests.integration.wire import fetch

pytestmark = pytest.mark.programs


LAYER = bytes(range(256)) * 2000

NINE = [row(face, face) for face in FACES]
# 3: the scope of the challenge
SCOPES = [
    row("scope with a prefix", scope_prefix="proxy/"),
    row("scope with two prefixes", scope_prefix="a/b/", project="c/"),
    row("scope behind a path", scope_prefix="hub/", base_path="/api/docker/hub"),
    row("challenge without a scope", names_scope=False),
]
# 4: below a project, or below a path
PLACES = [
    row("project", project="dockerhub-proxy/"),
    row("nested project", project="acme/eu/hub.proxy/"),
    row("path and project", base_path="/api", project="team/hub/"),
    row("path", base_path="/artifactory/api/docker/hub"),
]
# 5: a content encoding that is none
ENCODINGS = [
    row("aws-chunked", content_encoding="aws-chunked"),
    row("aws-chunked without a redirect", content_encoding="aws-chunked", redirect_blobs=False),
    row("empty encoding", content_encoding=""),
    row("gzip for stored bytes", content_encoding="gzip"),
    row("two encodings", content_encoding="aws-chunked,gzip", redirect_blobs=False),
    row("unknown encoding", content_encoding="binary"),
]
# 8: no HEAD
NO_HEADS = [
    *(row(f"HEAD {status}", head_status=status) for status in (400, 403, 404, 405, 406, 500, 501)),
    row("HEAD 404 without a login", head_status=404, auth="none"),
    row("HEAD 405 below a path", head_status=405, base_path="/repository/hub"),
    row("HEAD 500 also of blobs", head_status=500, head_blob_status=500),
]
NO_BLOB_HEADS = [
    row("HEAD 403 of blobs", head_blob_status=403),
    row("HEAD 404 of blobs", head_blob_status=404, redirect_blobs=False),
    row("HEAD 405 of blobs", head_blob_status=405),
]
# 9: no ranges
NO_RANGES = [
    *(row(f"Range {status}", range_status=status) for status in (400, 403, 405, 416, 501)),
    row("Range 403 without a redirect", range_status=403, redirect_blobs=False),
    row("Range 416 without a redirect", range_status=416, redirect_blobs=False),
    row("Range ignored", ranges_supported=False),
]
# 10: logins in other ways
BASIC_AT_PING: dict[str, Any] = {
    "auth": "basic",
    "require_user": ROBOT,
    "challenge_at_ping_only": True,
}
LOGINS = [
    row("challenge at ping", challenge_at_ping_only=True),
    row("challenge at ping 403", challenge_at_ping_only=True, anonymous_status=403),
    row("challenge at ping 404", challenge_at_ping_only=True, anonymous_status=404),
    row("Basic at ping", **BASIC_AT_PING),
    row("Basic at ping 404", **BASIC_AT_PING, anonymous_status=404),
]
# 10: manifests only by their tag
NO_DIGESTS = [row(f"by digest {each}", by_digest_status=each) for each in (404, 400, 403, 405)]
PULLS = [
    *NINE,
    *SCOPES,
    *PLACES,
    *ENCODINGS,
    *NO_HEADS,
    *NO_BLOB_HEADS,
    *NO_RANGES,
    *LOGINS,
    *NO_DIGESTS,
]
NO_PAGES: dict[str, Any] = {"link_style": "none", "ignores_last": True, "ignores_n": True}
# 6 and 7: pages of tags, and how many tags there are
TAGS = [
    *(row(f"tags of {face}", face, expected=1010) for face in FACES),
    *(
        row(f"link {style}", link_style=style, page_limit=100, expected=1010)
        for style in ("relative", "absolute", "inside", "http", "REL", "no rel", "token", "cursor")
    ),
    row("link behind a path", base_path="/api", link_style="inside", page_limit=7, expected=40),
    row("no link, n honoured", link_style="none", expected=1500),
    row("no link, 100 a page", link_style="none", page_limit=100, expected=1500),
    row("no link, exactly one page", link_style="none", expected=1000),
    row("100 a page, 25,000 tags", page_limit=100, expected=25_000),
    row("n of 1,000 refused", most_tags_asked=500, expected=1500),
    row("no pages", **NO_PAGES, expected=1500),  # distribution 2
]
# 7: a list that cannot be had whole
CUT = [
    row("no link, last ignored", link_style="none", ignores_last=True),
    row("link repeated", link_style="relative", ignores_last=True, page_limit=100),
    row("cursor ignored", link_style="absolute", ignores_last=True, page_limit=99),
    row("100 a page, last ignored", link_style="none", ignores_last=True, page_limit=100),
]
ROWS = [*PULLS, *TAGS, *CUT, *NO_API]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faces]:
    with open_faces(tmp_path_factory.mktemp("faces"), ROWS, tags={"fresh_for": "0s"}) as opened:
        yield opened


def pull(mirror: MirrorProcess, registry: str, image: Image) -> None:
    """Pull an image as docker does, and check every byte."""
    base = f"{mirror.url}/v2/{registry}/{image.repository}"
    head = fetch(f"{base}/manifests/1", method="HEAD")
    assert head.status == 200
    assert head.headers["Docker-Content-Digest"] == image.digest
    for reference in (image.digest, "1"):
        manifest = fetch(f"{base}/manifests/{reference}")
        assert (manifest.status, manifest.body) == (200, image.manifest), manifest.body
    for digest in image.blobs:
        blob = fetch(f"{base}/blobs/{digest}")
        assert blob.status == 200, blob.body
        assert len(blob.body) == image.sizes[digest]
        assert blob.headers["Docker-Content-Digest"] == digest


@each_row(PULLS)
def test_image_is_pulled(faces: Faces, row: Row) -> None:
    """The image comes through whole, although the connection breaks in the middle of a layer."""
    with faces.play(row) as registry:
        layer = LAYER + registry.encode()
        image = faces.hub.add_image(f"pull/{registry}", "1", [layer, b"small"])
        cut = faces.hub.faults.add(Fault("blob", Cut(200_000), contains=image.layers[0]))

        pull(faces.mirror, registry, image)

        assert cut.applied == 1, faces.hub.journal


@each_row([*NINE, *ENCODINGS, *NO_HEADS[-1:], *NO_BLOB_HEADS, *NO_RANGES[:2]])
def test_blob_of_an_unknown_manifest_is_found(faces: Faces, row: Row) -> None:
    """A client may ask for a blob first: the upstream says whether the repository has it."""
    with faces.play(row) as registry:
        layer = f"{registry} first".encode()
        image = faces.hub.add_image(f"blob/{registry}", "1", [layer])
        url = f"{faces.mirror.url}/v2/{registry}/{image.repository}/blobs/{image.layers[0]}"

        head = fetch(url, method="HEAD")
        blob = fetch(url)

        is_packed = "gzip" in row.switches.get("content_encoding", "")  # by what the header says
        length = None if is_packed else str(len(layer))
        assert (head.status, head.headers["Content-Length"]) == (200, length)
        assert (blob.status, blob.body) == (200, layer)


@each_row([*NINE, *NO_HEADS, *LOGINS])
def test_missing_tag_is_not_found(faces: Faces, row: Row) -> None:
    """A tag that does not exist is 404 and no error of the upstream."""
    with faces.play(row) as registry:
        faces.hub.add_image(f"absent/{registry}", "1", [b"absent"])
        base = f"{faces.mirror.url}/v2/{registry}/absent/{registry}"

        answer = fetch(f"{base}/manifests/nowhere")

        assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")


@each_row(LOGINS[:1])
def test_expired_token_without_a_challenge_is_renewed(faces: Faces, row: Row) -> None:
    """Where only `/v2/` says how to log in, a refused token is replaced all the same."""
    with faces.play(row) as registry:
        for name in ("first", "second"):
            faces.hub.add_image(f"expired/{registry}", name, [name.encode()])
        base = f"{faces.mirror.url}/v2/{registry}/expired/{registry}"
        assert fetch(f"{base}/manifests/first").status == 200
        faces.hub.expire_tokens()

        assert fetch(f"{base}/manifests/second").status == 200


@each_row(NO_HEADS)
def test_useless_heads_are_not_sent_again(faces: Faces, row: Row) -> None:
    """That HEAD is of no use is remembered: another image costs no HEAD."""
    with faces.play(row) as registry:
        for name in ("first", "second"):
            faces.hub.add_image(f"{name}/{registry}", "1", [name.encode()])
            faces.hub.journal.clear()
            base = f"{faces.mirror.url}/v2/{registry}/{name}/{registry}"
            assert fetch(f"{base}/manifests/1").status == 200

        assert faces.hub.journal.count("manifest", "HEAD") == 0, faces.hub.journal


@each_row(NO_RANGES)
def test_refused_ranges_are_not_asked_for_again(faces: Faces, row: Row) -> None:
    """That ranges are refused is remembered: the next broken layer is not refused first."""
    with faces.play(row) as registry:
        for number in range(2):
            image = faces.hub.add_image(f"range{number}/{registry}", "1", [LAYER + bytes([number])])
            faces.hub.journal.clear()
            faces.hub.faults.add(Fault("blob", Cut(200_000), contains=image.layers[0]))
            base = f"{faces.mirror.url}/v2/{registry}/{image.repository}"
            assert fetch(f"{base}/manifests/1").status == 200
            assert len(fetch(f"{base}/blobs/{image.layers[0]}").body) == len(LAYER) + 1

        refused = [
            entry for entry in faces.hub.journal if entry.status == row.switches.get("range_status")
        ]
        assert refused == [], faces.hub.journal


def add_tags(faces: Faces, registry: str, count: int) -> list[str]:
    image = faces.hub.add_image(f"tags/{registry}", "t00000", [b"tags"])
    tags = [f"t{number:05}" for number in range(count)]
    for tag in tags:
        faces.hub.tag(image.repository, tag, image.digest)
    return tags


@each_row(TAGS)
def test_whole_list_of_tags(faces: Faces, row: Row) -> None:
    """All tags are listed, in however many pages and with whatever links."""
    with faces.play(row) as registry:
        assert isinstance(row.expected, int)
        tags = add_tags(faces, registry, row.expected)

        listed: list[str] = []
        page = f"/v2/{registry}/tags/{registry}/tags/list"
        while page:
            answer = fetch(faces.mirror.url + page)
            assert answer.status == 200
            assert "Warning" not in answer.headers
            listed += answer.json()["tags"]
            page = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")

        assert tags == listed


@each_row(CUT)
def test_cut_list_has_a_warning(faces: Faces, row: Row) -> None:
    """A list is never cut silently."""
    with faces.play(row) as registry:
        tags = add_tags(faces, registry, 1500)
        url = f"{faces.mirror.url}/v2/{registry}/tags/{registry}/tags/list"

        answer = fetch(url)

        assert answer.status == 200
        assert 0 < len(answer.json()["tags"]) < len(tags)
        assert answer.headers["Warning"].startswith('299 - "')


# 1: no referrers API
@each_row(NO_API)
def test_clients_use_the_tag(faces: Faces, row: Row) -> None:
    """Where the upstream has no referrers API, clients get 404, and then ask for the tag."""
    with faces.play(row) as registry:
        image = faces.hub.add_image(f"tag/{registry}", "1", [registry.encode()])
        base = f"{faces.mirror.url}/v2/{registry}/{image.repository}"

        answer = fetch(f"{base}/referrers/{image.digest}")

        assert (answer.status, answer.code) == (404, "UNSUPPORTED")
