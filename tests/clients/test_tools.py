"""Newer tools that look closely: crane checks every digest, oras asks for referrers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.images import Image
from tests.clients.site import HUB, IMAGES, SIGNED, Site
from tests.harness.daemons import finish, isolate

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module", params=["up", "down"])
def place(request: pytest.FixtureRequest, running_site: Site) -> Iterator[Site]:
    """The site with its upstreams up, and with them stopped after the mirror had everything."""
    if request.param == "up":
        yield running_site
    else:
        running_site.warm()
        with running_site.cut_off():
            yield running_site


@pytest.mark.parametrize("image", IMAGES, ids=str)
def test_crane_finds_nothing_wrong(place: Site, crane: str, image: Image, tmp_path: Path) -> None:
    """`crane validate` fetches everything and compares every digest and size."""
    name = f"{place.mirror.host}/{image}"
    finish([crane, "validate", "--remote", name], isolate(tmp_path))


@pytest.mark.parametrize("image", IMAGES, ids=str)
def test_crane_reads_the_digest(place: Site, crane: str, image: Image, tmp_path: Path) -> None:
    """`crane digest` takes it from the headers of a HEAD."""
    name = f"{place.mirror.host}/{image}"
    assert image.digest == finish([crane, "digest", name], isolate(tmp_path)).strip()


@pytest.mark.parametrize("image", IMAGES, ids=str)
def test_crane_pulls_all(place: Site, crane: str, image: Image, tmp_path: Path) -> None:
    """`crane pull` writes an OCI layout that holds everything behind the tag."""
    name = f"{place.mirror.host}/{image}"
    finish([crane, "pull", "--format=oci", name, f"{tmp_path}/layout"], isolate(tmp_path))
    blobs = {f"sha256:{path.name}" for path in (tmp_path / "layout/blobs/sha256").iterdir()}
    assert image.digests == blobs


@pytest.mark.parametrize("image", IMAGES, ids=str)
def test_oras_fetches_a_manifest_unchanged(
    place: Site, oras: str, image: Image, tmp_path: Path
) -> None:
    """`oras manifest fetch` gets the very bytes that were pushed."""
    name = f"{place.mirror.host}/{image}"
    target = tmp_path / "manifest"
    command = [oras, "manifest", "fetch", "--plain-http", "--output", str(target), name]
    finish(command, isolate(tmp_path))
    assert image.manifests[-1].body == target.read_bytes()


def test_oras_discovers_a_signature(place: Site, oras: str, tmp_path: Path) -> None:
    """`oras discover` lists what refers to an image."""
    name = f"{place.mirror.host}/{HUB}/{SIGNED}:{place.signed.tag}"
    command = [oras, "discover", "--plain-http", "--format=json", name]
    found = json.loads(finish(command, isolate(tmp_path)))["referrers"]
    assert [place.signature.digest] == [one["digest"] for one in found]
    assert [one["artifactType"] for one in found] == ["application/x.signature"]


def test_oras_pulls_a_signature(place: Site, oras: str, tmp_path: Path) -> None:
    """`oras blob fetch` gets what a referrer holds."""
    (layer,) = place.signature.layers
    target = tmp_path / "layer"
    name = f"{place.mirror.host}/{HUB}/{SIGNED}@{layer}"
    command = [oras, "blob", "fetch", "--plain-http", "--output", str(target), name]
    finish(command, isolate(tmp_path))
    assert target.read_bytes() == b"a signature"
