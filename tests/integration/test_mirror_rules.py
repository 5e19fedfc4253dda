"""What may not be mirrored is refused however it is asked for, also if it is stored already."""

import json

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

DENY = ["team/bad", "team/app:latest"]


@pytest.fixture
def images(hub: FakeUpstream) -> dict[str, Image]:
    return {
        "bad": hub.add_image("team/bad", "1", [b"bad" * 1000]),
        "app": hub.add_image("team/app", "1", [b"good" * 1000]),
        "latest": hub.add_image("team/app", "latest", [b"latest" * 1000]),
    }


def pull_before(make_mirror: MirrorMaker, hub: FakeUpstream, images: dict[str, Image]) -> str:
    """Store everything in a data folder without patterns; return its path."""
    mirror = make_mirror()
    for image, tag in ((images["bad"], "1"), (images["app"], "1"), (images["latest"], "latest")):
        assert fetch(f"{mirror.url}/v2/{image.repository}/manifests/{tag}").status == 200
        for digest in image.blobs:
            url = f"{mirror.url}/v2/{image.repository}/blobs/{digest}"
            wait_until(lambda url=url: fetch(url).origin == "hit", "it is stored")
    mirror.stop()
    return str(mirror.data)


def start(
    make_mirror: MirrorMaker, hub: FakeUpstream, path: str, access: dict[str, object] | None = None
) -> MirrorProcess:
    upstream = {"endpoints": [hub.url], "deny": DENY, "aliases": ["hub.test"]}
    settings = {"storage": {"path": path}, **({"access": access} if access else {})}
    return make_mirror(settings, upstreams={"docker.io": upstream}, workers=1)


def test_every_spelling_is_refused(
    make_mirror: MirrorMaker, hub: FakeUpstream, images: dict[str, Image]
) -> None:
    """403 DENIED, by five forms of the URL and for each endpoint; the text names the pattern."""
    mirror = start(make_mirror, hub, pull_before(make_mirror, hub, images))
    bad, rest = images["bad"], "manifests/1"
    spellings = [
        f"/v2/team/bad/{rest}",
        f"/v2/team/bad/{rest}?ns=docker.io",
        f"/v2/team/bad/{rest}?ns=hub.test",
        f"/docker.io/v2/team/bad/{rest}",
        f"/v2/docker.io/team/bad/{rest}?ns=docker.io",
        f"/v2/docker.io/team/bad/{rest}",
        f"/v2/hub.test/team/bad/{rest}",
        f"/v2/%74eam/bad/{rest}",
        f"/v2/team/bad/manifests/{bad.digest}",
        f"/v2/team/bad/blobs/{bad.layers[0]}",
        f"/v2/team/bad/referrers/{bad.digest}",
        "/v2/team/bad/tags/list",
        "/v2/team/app/manifests/latest",
    ]
    for path in spellings:
        for _ in range(2):  # nothing is repeated from memory either
            answer = fetch(f"{mirror.url}{path}")
            assert (answer.status, answer.code) == (403, "DENIED"), path
            assert 'upstreams."docker.io".deny has "team/' in answer.message, path
            assert fetch(f"{mirror.url}{path}", method="HEAD").status == 403, path


def test_what_is_not_denied_is_served(
    make_mirror: MirrorMaker, hub: FakeUpstream, images: dict[str, Image]
) -> None:
    """Other tags, and everything by digest of a repository of which one tag is denied."""
    mirror = start(make_mirror, hub, pull_before(make_mirror, hub, images))
    base = f"{mirror.url}/v2/team/app"

    assert fetch(f"{base}/manifests/1").body == images["app"].manifest
    assert fetch(f"{base}/manifests/{images['latest'].digest}").body == images["latest"].manifest
    assert fetch(f"{base}/blobs/{images['latest'].layers[0]}").body == b"latest" * 1000
    assert fetch(f"{base}/tags/list").json()["tags"] == ["1"]
    listed = fetch(f"{mirror.url}/v2/_catalog").json()["repositories"]
    assert listed == ["docker.io/team/app"]


def test_commands_say_why(
    make_mirror: MirrorMaker, hub: FakeUpstream, images: dict[str, Image]
) -> None:
    """`images warm` and `images refresh` fail, and name the pattern; no upstream is asked."""
    mirror = start(make_mirror, hub, pull_before(make_mirror, hub, images))
    hub.journal.clear()

    warmed = mirror.run("images", "warm", "team/bad:1", "--json")
    refreshed = mirror.run("images", "refresh", "team/app:latest")

    assert (warmed.returncode, refreshed.returncode) == (1, 1)
    (failed,) = json.loads(warmed.stdout)["images"]
    assert 'upstreams."docker.io".deny has "team/bad"' in failed["failures"][0]
    assert 'upstreams."docker.io".deny has "team/app:latest"' in refreshed.stderr
    assert [each for each in hub.journal if "/manifests/" in each.path] == []


def test_identity_comes_first(
    make_mirror: MirrorMaker, hub: FakeUpstream, images: dict[str, Image]
) -> None:
    """Who may not pull an image learns nothing of patterns; who may, reads which one denies it."""
    path = pull_before(make_mirror, hub, images)
    rules = [{"who": ["*"], "allow": ["docker.io/team/bad"]}]
    mirror = start(make_mirror, hub, path, {"mode": "users", "rules": rules})

    allowed = fetch(f"{mirror.url}/v2/team/bad/manifests/1")
    unknown = fetch(f"{mirror.url}/v2/team/app/manifests/latest")

    assert (allowed.status, allowed.code) == (403, "DENIED")
    assert (unknown.status, unknown.code) == (404, "MANIFEST_UNKNOWN")
    assert "deny" not in unknown.message
