"""Bundles with sha512 digests in the hands of other programs: only those that can are named."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from registry.bundle.format.head_files import write_head
from registry.bundle.format.lock import Lock, LockedImage
from registry.bundle.format.tar import format_blob_name
from registry.bundle.read.compatibility import find_readers
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, parse_manifest
from registry.oci.names import Repository, Tag
from tests.clients import images
from tests.clients.conftest import require
from tests.clients.images import Image
from tests.clients.programs import missing, place_of
from tests.clients.pullers import Ctr, Docker, Podman
from tests.clients.site import HUB
from tests.harness.bundles import write_tar
from tests.harness.daemons import finish, isolate

pytestmark = [pytest.mark.timeout(900), pytest.mark.programs]
SKOPEO = [place_of("skopeo"), "--insecure-policy"]


@dataclass(frozen=True)
class Sample:
    """A bundle as a tar and as a folder, its image, and the programs that are said to read it."""

    image: Image
    digest: Digest
    tar: Path
    folder: Path
    able: tuple[str, ...]


def change_all(fields: dict[str, Any], blobs: dict[str, bytes]) -> dict[str, Any]:
    """Name all blobs by sha512."""
    for each in (fields["config"], *fields["layers"]):
        each["digest"] = str(Digest.of(blobs[each["digest"]], "sha512"))
    return fields


def change_layer(fields: dict[str, Any], blobs: dict[str, bytes]) -> dict[str, Any]:
    """Name the last layer by sha512."""
    last = fields["layers"][-1]
    last["digest"] = str(Digest.of(blobs[last["digest"]], "sha512"))
    return fields


Change = Callable[[dict[str, Any], dict[str, bytes]], dict[str, Any]]
CHANGES: dict[str, tuple[Change, str]] = {
    "all": (change_all, "sha512"),
    "layer": (change_layer, "sha256"),
    "manifest": (lambda fields, _: fields, "sha512"),
}


@pytest.fixture(scope="module", params=CHANGES)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A bundle of one image whose manifest, or blobs, have sha512 digests."""
    change, algorithm = CHANGES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    image = images.build_single(HUB, f"library/entrepot-{request.param}", "long", media="oci")
    blobs = {images.digest_of(blob): blob for blob in image.blobs}
    fields = change(json.loads(image.manifests[0].body), blobs)
    raw = json.dumps(fields).encode()
    digest = Digest.of(raw, algorithm)
    manifest = parse_manifest(raw, image.manifests[0].media_type, digest)
    by_digest = {digest: raw}
    for blob in image.blobs:
        for each in ("sha256", "sha512"):
            by_digest[Digest.of(blob, each)] = blob
    inside = [digest, *(each.digest for each in manifest.blobs)]
    root = Descriptor(manifest.media_type, digest, len(raw))
    platform = (f"linux/{images.here()}",)
    locked = LockedImage(Repository(HUB, image.repository), Tag(image.tag), root, platform)
    lock = Lock(
        "complete",
        (locked,),
        {digest: manifest.media_type},
        tuple((each, len(by_digest[each])) for each in inside),
    )
    files = [*write_head(lock, {digest: manifest}).items()]
    files += [(format_blob_name(each), by_digest[each]) for each in inside]
    tar = folder / "b.tar"
    tar.write_bytes(write_tar(files))
    with tarfile.open(fileobj=io.BytesIO(tar.read_bytes())) as archive:
        archive.extractall(folder / "b", filter="data")
    able = find_readers(lock, {digest: replace(manifest, raw=b"")}).able
    return Sample(image, digest, tar, folder / "b", able)


def works(act: Callable[[], object]) -> bool:
    """Whether a program did what it was asked for."""
    try:
        act()
    except AssertionError:
        return False
    return True


def test_containerd(sample: Sample, ctr: Ctr) -> None:
    """containerd refuses every digest but sha256, and so do kind and k3s, which use it."""
    ctr.forget()
    assert not works(lambda: ctr._ctr("images", "import", str(sample.tar)))
    assert not [each for each in sample.able if each.startswith(("ctr", "kind", "k3s"))]


def test_docker(sample: Sample, docker: Docker) -> None:
    """Docker's own image store loads it; it is not named, because containerd's is the default."""
    docker.forget()
    assert works(lambda: docker.docker("load", "--input", str(sample.tar)))
    assert "docker load" not in sample.able


def test_podman(sample: Sample, podman: Podman) -> None:
    """`podman load` is named, and the image runs."""
    podman.forget()
    podman._podman("load", f"--signature-policy={podman._policy}", "--input", str(sample.tar))
    assert podman.read(sample.image) == sample.image.message
    assert "podman load" in sample.able


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("docker-archive", "skopeo (docker-archive:)"),
        ("oci-archive", "skopeo (oci-archive:)"),
        ("oci", "skopeo copy --all"),
    ],
)
def test_skopeo(sample: Sample, tmp_path: Path, form: str, name: str) -> None:
    """`skopeo copy` reads every form that is named."""
    require(missing("skopeo"))
    place = sample.folder if form == "oci" else sample.tar
    command = [*SKOPEO, "copy", "--all", f"{form}:{place}:{sample.image}", f"dir:{tmp_path}/d"]
    done = works(lambda: finish(command, isolate(tmp_path)))
    assert done or name not in sample.able
    assert (name in sample.able) == (form == "docker-archive")


def test_oras(sample: Sample, oras: str, tmp_path: Path) -> None:
    """`oras cp` copies it out of the folder."""
    source, target = f"{sample.folder}@{sample.digest}", f"{tmp_path}/copy:1"
    command = [oras, "cp", "--from-oci-layout", source, "--to-oci-layout", target]
    finish(command, isolate(tmp_path))
    assert "oras" in sample.able


def test_umoci(sample: Sample, tmp_path: Path) -> None:
    """`umoci` knows sha256 only."""
    require(missing("umoci"))
    index = (sample.folder / "index.json").read_text()
    layout = tmp_path / "layout"
    layout.symlink_to(sample.folder)
    (sample.folder / "index.json").write_text(index.replace(f'"{sample.image}"', '"one"'))
    unpack = ["umoci", "unpack", "--rootless", "--image", f"{layout}:one", f"{tmp_path}/out"]
    done = works(lambda: finish(unpack, isolate(tmp_path)))
    (sample.folder / "index.json").write_text(index)
    assert not done
    assert "umoci" not in sample.able
