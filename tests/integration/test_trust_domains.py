"""Bytes of a private upstream go to another one only if that one has them too."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.harness.planted import UPSTREAM_PASSWORD
from tests.integration.wire import Answer, fetch, wait_until

LOGIN = ("ann", UPSTREAM_PASSWORD)
LAYER = bytes(range(256)) * 4096  # 1 MiB
PARTS = 2 * 16 * 1024  # bytes of a proof


@pytest.fixture
def team() -> Iterator[FakeUpstream]:
    """A registry that lets nobody in without a login."""
    with FakeUpstream() as upstream:
        upstream.require_user = LOGIN
        yield upstream


@pytest.fixture
def mirror(
    make_mirror: MirrorMaker, hub: FakeUpstream, team: FakeUpstream, tmp_path: Path
) -> MirrorProcess:
    """A mirror of Docker Hub without a login, and of `team.test` with one."""
    password = tmp_path / "password"
    password.write_text(LOGIN[1])
    table = {
        "endpoints": [team.url],
        "username": LOGIN[0],
        "password_file": str(password),
        "auth_realms": [team.realm.split("/")[2]],
    }
    return make_mirror(upstreams={"docker.io": hub.url, "team.test": table}, workers=1)


@pytest.fixture
def image(team: FakeUpstream, mirror: MirrorProcess) -> Image:
    """A private image that was pulled."""
    image = team.add_image("app", "1", [LAYER])
    base = f"{mirror.url}/v2/team.test/app"
    assert fetch(f"{base}/manifests/1").status == 200
    for digest in (image.config, image.layers[0]):
        assert fetch(f"{base}/blobs/{digest}").status == 200
    wait_until(lambda: fetch(f"{base}/blobs/{image.layers[0]}").origin == "hit", "it is stored")
    return image


def pull(mirror: MirrorProcess, name: str, digest: str, method: str = "GET") -> Answer:
    """Pull a blob after the manifest that names it."""
    assert fetch(f"{mirror.url}/v2/{name}/manifests/1").status == 200
    return fetch(f"{mirror.url}/v2/{name}/blobs/{digest}", method=method)


def test_naming_a_private_digest_is_answered_as_if_it_was_not_here(
    mirror: MirrorProcess, hub: FakeUpstream, image: Image
) -> None:
    """A manifest of a stranger opens no private blob, and does not tell whether it is here."""
    unknown = hub.add_image("library/elsewhere", None, [b"x" * len(LAYER)])
    for name, named in (("library/thief", image), ("library/other", unknown)):
        hub.add_manifest(name, "1", named.manifest, named.media_type)
    stolen, missing = image.layers[0], unknown.layers[0]

    answers = [
        (
            pull(mirror, "library/thief", stolen, method),
            pull(mirror, "library/other", missing, method),
        )
        for method in ("HEAD", "GET", "HEAD")
    ]

    assert [found.status for found, _ in answers] == [200, 404, 200]
    for found, control in answers:
        assert (found.status, found.origin) == (control.status, control.origin)
        assert found.headers["Content-Length"] == control.headers["Content-Length"]
    assert answers[1][0].code == "BLOB_UNKNOWN"


def test_a_private_manifest_is_not_for_who_names_its_digest(
    mirror: MirrorProcess, hub: FakeUpstream, image: Image
) -> None:
    """A registry without the manifest does not get it by an index that lists it."""
    hub.add_index("library/thief", "1", [image])
    assert fetch(f"{mirror.url}/v2/library/thief/manifests/1").status == 200

    answer = fetch(f"{mirror.url}/v2/library/thief/manifests/{image.digest}")

    assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")


def test_a_shared_layer_crosses_the_link_once(
    mirror: MirrorProcess, hub: FakeUpstream, image: Image
) -> None:
    """A registry that has the layer sends some bytes of it; then all its clients get it."""
    hub.add_image("library/base", "1", [LAYER])
    hub.journal.clear()

    first = pull(mirror, "library/base", image.layers[0])
    second = pull(mirror, "library/base", image.layers[0])

    assert first.body == second.body == LAYER
    assert second.origin == "hit"
    sent = [entry for entry in hub.journal.of("cdn") if image.layers[0] in entry.path]
    assert [entry.headers.get("Range", "")[:6] for entry in sent] == ["bytes="] * 2
    assert sum(entry.body_bytes for entry in sent) == PARTS


def test_what_was_proved_before_an_outage_is_served_in_it(
    mirror: MirrorProcess, hub: FakeUpstream, image: Image
) -> None:
    """A client that pulled only the manifest has made its layers safe for the others."""
    hub.add_image("library/base", "1", [LAYER])
    assert fetch(f"{mirror.url}/v2/library/base/manifests/1").status == 200
    layer = image.layers[0]
    wait_until(
        lambda: [each for each in mirror.events("stored blob proved") if each["blob"] == layer],
        "the proof in the background",
    )
    hub.stop()

    answer = fetch(f"{mirror.url}/v2/library/base/blobs/{layer}")

    assert (answer.status, answer.body) == (200, LAYER)


def test_the_offline_list_says_what_clients_get(
    mirror: MirrorProcess, hub: FakeUpstream, image: Image
) -> None:
    """Bytes of another registry count as missing until they are proved, as offline they do."""
    hub.add_manifest("library/thief", "1", image.manifest, image.media_type)
    base = hub.add_image("library/base", "1", [LAYER, b"base"])
    for name, found in (("library/base", base), ("library/thief", image)):
        for digest in found.blobs:
            pull(mirror, name, digest)
    wait_until(
        lambda: all(
            fetch(f"{mirror.url}/v2/library/base/blobs/{digest}").origin == "hit"
            for digest in base.blobs
        ),
        "the public image is stored",
    )
    mirror.stop()
    names = ("team.test/app:1", "library/thief:1", "library/base:1")

    listed = mirror.run("images", "ls", "--offline", "--json", *names)
    mirror.start("--offline")

    told = {each["name"]: each["ready"] for each in json.loads(listed.stdout)}
    assert listed.returncode == 1
    assert told == {
        "team.test/app:1": True,
        "docker.io/library/base:1": True,
        "docker.io/library/thief:1": False,
    }
    lost = [each["missing"] for each in json.loads(listed.stdout) if not each["ready"]]
    assert [blob["digest"] for blob in lost[0][0]["blobs"]] == [image.config]
    for name, found in (("team.test/app", image), ("library/base", base)):
        assert [pull(mirror, name, each).status for each in found.blobs] == [200] * len(found.blobs)
    assert pull(mirror, "library/thief", image.config).status == 404
    assert pull(mirror, "library/thief", image.layers[0]).status == 200
