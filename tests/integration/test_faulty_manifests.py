"""Manifests that no client should get: refused, and the known image is served instead."""

import hashlib
import json
from collections.abc import Callable

import pytest

from tests.fakes.upstream import Endless, FakeUpstream, Fault, Gzip, Lie, Status
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DESCRIPTOR = {"mediaType": OCI, "digest": "sha256:" + "1" * 64, "size": 7}
PAGE = Status(200, "<html>Please log in</html>", {"Content-Type": "text/html"})


def write(document: object) -> bytes:
    return json.dumps(document).encode()


IMAGE = {"schemaVersion": 2, "mediaType": OCI, "config": DESCRIPTOR, "layers": [DESCRIPTOR]}
FAULTY: dict[str, tuple[bytes, str]] = {
    "over 4 MiB": (write(IMAGE | {"annotations": {"x": "y" * (4 << 20)}}), OCI),
    "image and index": (write(IMAGE | {"manifests": [DESCRIPTOR]}), OCI),
    "index and image": (
        write({"schemaVersion": 2, "manifests": [DESCRIPTOR], "layers": [DESCRIPTOR]}),
        INDEX,
    ),
    "an index called an image": (write({"schemaVersion": 2, "manifests": [DESCRIPTOR]}), OCI),
    "another type inside": (write(IMAGE | {"mediaType": INDEX}), OCI),
    "a key twice": (write(IMAGE)[:-1] + b', "layers": []}', OCI),
    "a key in another case": (write(IMAGE | {"Layers": []}), OCI),
    "no JSON": (b"hello", OCI),
    "no object": (b"[]", OCI),
    "schema 1": (write({"schemaVersion": 1, "fsLayers": []}), OCI),
    "a bad descriptor": (write(IMAGE | {"layers": [{"digest": "sha256:../..", "size": 1}]}), OCI),
    "a negative size": (write(IMAGE | {"layers": [DESCRIPTOR | {"size": -1}]}), OCI),
    "an unknown type": (write(IMAGE), "application/vnd.test.unknown+json"),
    "a page": (b"<html></html>", "text/html"),
    "too deep": (b"[" * 100_000 + b"]" * 100_000, OCI),
    "UTF-16": (json.dumps(IMAGE).encode("utf-16"), OCI),
}


@pytest.fixture
def spoil(shared_hub: FakeUpstream) -> Callable[..., None]:
    """Makes a tag lead to these bytes; a claimed digest is believed."""

    def lead(repository: str, raw: bytes, media_type: str, claimed: str | None = None) -> None:
        digest = claimed or "sha256:" + hashlib.sha256(raw).hexdigest()
        shared_hub.add_manifest(repository, digest, raw, media_type)
        shared_hub.tag(repository, "1", digest)

    return lead


@pytest.mark.parametrize("kind", FAULTY)
def test_faulty_manifests_are_refused(
    doubting_mirror: MirrorProcess, shared_hub: FakeUpstream, spoil: Callable[..., None], kind: str
) -> None:
    """A cold pull is 502 and says why; a known tag goes on with the image it had."""
    slug = kind.replace(" ", "-").lower()
    known, unknown = f"team/known-{slug}", f"team/cold-{slug}"
    image = shared_hub.add_image(known, "1", [slug.encode()])
    assert fetch(f"{doubting_mirror.url}/v2/{known}/manifests/1").body == image.manifest
    for repository in (known, unknown):
        spoil(repository, *FAULTY[kind])

    cold = fetch(f"{doubting_mirror.url}/v2/{unknown}/manifests/1")
    stale = fetch(f"{doubting_mirror.url}/v2/{known}/manifests/1")

    assert (cold.status, cold.code) == (502, "UNAVAILABLE")
    assert (stale.status, stale.origin, stale.body) == (200, "stale", image.manifest)
    assert stale.headers["Warning"].startswith('299 - "')


def test_a_manifest_under_a_wrong_digest_is_refused(
    doubting_mirror: MirrorProcess, shared_hub: FakeUpstream, spoil: Callable[..., None]
) -> None:
    """Bytes that contradict the digest in the upstream's own header reach no client."""
    image = shared_hub.add_image("team/wrong", "1", [b"wrong"])
    assert fetch(f"{doubting_mirror.url}/v2/team/wrong/manifests/1").body == image.manifest
    wrong = "sha256:" + "e" * 64
    for repository in ("team/wrong", "team/wrong-cold"):
        spoil(repository, write(IMAGE), OCI, claimed=wrong)

    stale = fetch(f"{doubting_mirror.url}/v2/team/wrong/manifests/1")

    assert (stale.status, stale.origin, stale.body) == (200, "stale", image.manifest)
    assert fetch(f"{doubting_mirror.url}/v2/team/wrong-cold/manifests/1").status == 502
    assert fetch(f"{doubting_mirror.url}/v2/team/wrong-cold/manifests/{wrong}").status == 502


@pytest.mark.parametrize("action", [Lie(10), Endless(), PAGE], ids=["flipped", "endless", "page"])
def test_faulty_answers_are_refused(
    doubting_mirror: MirrorProcess, shared_hub: FakeUpstream, action: Lie | Endless | Status
) -> None:
    """A flipped byte, a body without end, a portal's page: none reaches a client."""
    name = f"team/{type(action).__name__.lower()}"
    image = shared_hub.add_image(name, "1", [name.encode()])
    assert fetch(f"{doubting_mirror.url}/v2/{name}/manifests/1").body == image.manifest
    moved = shared_hub.add_image(name, "1", [name.encode(), b"moved"])
    shared_hub.faults.add(Fault("manifest", action, method="GET", contains=name, times=None))

    stale = fetch(f"{doubting_mirror.url}/v2/{name}/manifests/1")
    cold = fetch(f"{doubting_mirror.url}/v2/{name}/manifests/{moved.digest}")

    shared_hub.faults.clear()
    assert (stale.status, stale.origin, stale.body) == (200, "stale", image.manifest)
    assert cold.status == 502
    assert fetch(f"{doubting_mirror.url}/v2/{name}/manifests/1").body == moved.manifest


def test_compressed_manifest_is_served(
    doubting_mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """A proxy that compresses documents changes nothing for clients: its gzip is undone."""
    image = shared_hub.add_image("team/packed", "1", [b"packed"])
    shared_hub.faults.add(Fault("manifest", Gzip(), method="GET", contains="packed", times=None))

    answer = fetch(f"{doubting_mirror.url}/v2/team/packed/manifests/1")

    shared_hub.faults.clear()
    assert (answer.status, answer.body) == (200, image.manifest)
    assert "Content-Encoding" not in answer.headers
