"""Names at the edges of the grammar: those that look like the API, and the longest ones."""

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch

LONGEST = "/".join(["a" * 63] * 4)  # 255 characters
NAMES = [
    "library/blobs",
    "library/manifests",
    "library/tags",
    "library/referrers",
    "team/v2",
    "v2/team",
    "team/v2/app",
    "team/tags/list",
    "team/blobs/uploads",
    "manifests/blobs/manifests",
    "team/manifests/latest",
    "a/b/c/d/e/f/g/h",
    "team/a.b_c__d-e---f",
    LONGEST,
]


@pytest.mark.parametrize("name", NAMES)
def test_repositories_may_be_called_like_the_api(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, name: str
) -> None:
    """Every endpoint works for a repository whose segments are words of the API."""
    assert len(LONGEST) == 255
    image = shared_hub.add_image(name, "latest", [name.encode()])
    base = f"{shared_mirror.url}/v2/{name}"

    manifest = fetch(f"{base}/manifests/latest")
    blob = fetch(f"{base}/blobs/{image.layers[0]}")
    tags = fetch(f"{base}/tags/list")
    referrers = fetch(f"{base}/referrers/{image.digest}")

    assert (manifest.status, manifest.body) == (200, image.manifest)
    assert (blob.status, blob.body) == (200, name.encode())
    assert tags.json() == {"name": name, "tags": ["latest"]}
    assert referrers.json()["manifests"] == []


@pytest.mark.parametrize("tag", ["x" * 128, "_", "0", "V1.0_a-b", "latest", "list", "uploads"])
def test_every_legal_tag_is_served(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, tag: str
) -> None:
    """A tag has up to 128 characters and may be any word."""
    image = shared_hub.add_image("team/tags", tag, [tag.encode()])

    answer = fetch(f"{shared_mirror.url}/v2/team/tags/manifests/{tag}")

    assert (answer.status, answer.body) == (200, image.manifest)


@pytest.mark.parametrize("colon", ["%3A", "%3a"])
def test_an_encoded_colon_is_a_colon(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, colon: str
) -> None:
    """Clients that encode the colon of a digest get the same content."""
    image = shared_hub.add_image("team/colon", "1", [b"colon"])
    base = f"{shared_mirror.url}/v2/team/colon"

    manifest = fetch(f"{base}/manifests/{image.digest.replace(':', colon)}")
    blob = fetch(f"{base}/blobs/{image.layers[0].replace(':', colon)}")

    assert (manifest.status, manifest.body) == (200, image.manifest)
    assert (blob.status, blob.body) == (200, b"colon")


@pytest.mark.parametrize(
    "name",
    [
        LONGEST + "a",
        "Team/app",
        "team/App",
        "team/-app",
        "team/app-",
        "team/a..b",
        "team/a___b",
        "team/a._b",
        "team/app%20x",
        "team/%C3%A4pp",
        "team/a@b",
        "team//app",
        "/team/app",
        "team/app/",
        "~team/app",
    ],
)
def test_malformed_names_are_400(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, name: str
) -> None:
    """A name outside the grammar is 400 NAME_INVALID at every endpoint; no upstream is asked."""
    digest = "sha256:" + "0" * 64
    shared_hub.journal.clear()

    for path in ("manifests/1", f"blobs/{digest}", "tags/list", f"referrers/{digest}"):
        answer = fetch(f"{shared_mirror.url}/v2/{name}/{path}")

        assert (answer.status, answer.code) == (400, "NAME_INVALID"), path
    assert len(shared_hub.journal) == 0, shared_hub.journal
