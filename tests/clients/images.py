"""Images that run: busybox and a message, in each of the forms that registries hold."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream.images import CONFIG, GZIP_LAYER, INDEX, MANIFEST, Media, describe
from tests.harness.pushes import push_blob, push_manifest

APPLETS = ("cat", "echo", "sh")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PROVENANCE = "https://slsa.dev/provenance/v0.2"
UNKNOWN = {"architecture": "unknown", "os": "unknown"}  # the platform of an attestation


@dataclass(frozen=True)
class Manifest:
    """A manifest as bytes."""

    body: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """The digest by which it is asked for."""
        return digest_of(self.body)


@dataclass(frozen=True)
class Image:
    """A tag and all that is behind it; the last manifest is what the tag points to.

    Run without arguments, it prints `message`.
    """

    registry: str
    repository: str
    tag: str
    message: str
    manifests: tuple[Manifest, ...]
    blobs: tuple[bytes, ...]

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}:{self.tag}"

    @property
    def digest(self) -> str:
        """What the tag points to."""
        return self.manifests[-1].digest

    @property
    def blob_digests(self) -> frozenset[str]:
        """The configs and layers of all its platforms."""
        return frozenset(map(digest_of, self.blobs))

    @property
    def digests(self) -> frozenset[str]:
        """Everything behind the tag."""
        return self.blob_digests | {manifest.digest for manifest in self.manifests}


def digest_of(body: bytes) -> str:
    """The sha256 digest of these bytes, in the form `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


def here() -> str:
    """The architecture of this machine, as image indexes call it."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def elsewhere() -> str:
    """An architecture that is not this machine's."""
    return "arm64" if here() == "amd64" else "amd64"


def build_single(registry: str, repository: str, message: str, *, media: Media) -> Image:
    """Make an image for this machine."""
    manifest, blobs = _build_platform(message, here(), media)
    return Image(registry, repository, "1.0", message, (manifest,), blobs)


def build_message(registry: str, repository: str, message: str, *, media: Media) -> Image:
    """Make a small image for this machine that can be pulled, but not run."""
    manifest, blobs = _build_platform(message, here(), media, has_program=False)
    return Image(registry, repository, "1.0", message, (manifest,), blobs)


def build_index(
    registry: str, repository: str, message: str, *, is_attested: bool = False
) -> Image:
    """Make an OCI index over an image for this machine and one for another architecture.

    With `is_attested`, the index has an attestation manifest for each of them, as buildx writes it.
    """
    manifests, blobs, members, attestations = [], [], [], []
    for architecture in (here(), elsewhere()):
        said = message if architecture == here() else f"{message} on {architecture}"
        manifest, parts = _build_platform(said, architecture, "oci")
        manifests.append(manifest)
        blobs += parts
        system = {"architecture": architecture, "os": "linux"}
        members.append(_describe(manifest) | {"platform": system})
        if is_attested:
            attestation, parts = _build_attestation(manifest)
            manifests.append(attestation)
            blobs += parts
            attestations.append(_describe(attestation) | _attests(manifest))
    entries = members + attestations
    index = Manifest(
        _encode({"schemaVersion": 2, "mediaType": INDEX["oci"], "manifests": entries}), INDEX["oci"]
    )
    unique = tuple(dict.fromkeys(blobs))
    return Image(registry, repository, "1.0", message, (*manifests, index), unique)


def build_chart(registry: str, repository: str, message: str) -> Image:
    """Make a Helm chart whose description is the message; charts cannot run."""
    about = {
        "apiVersion": "v2",
        "name": repository.rpartition("/")[2],
        "version": "1.0.0",
        "description": message,
    }
    config = _encode(about)
    # The JSON of the metadata is YAML too.
    chart = gzip.compress(_tar(f"{about['name']}/Chart.yaml", config), 1, mtime=0)
    kind = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
    fields = {
        "schemaVersion": 2,
        "mediaType": MANIFEST["oci"],
        "config": describe(
            "application/vnd.cncf.helm.config.v1+json", digest_of(config), len(config)
        ),
        "layers": [describe(kind, digest_of(chart), len(chart))],
    }
    manifest = Manifest(_encode(fields), MANIFEST["oci"])
    return Image(registry, repository, about["version"], message, (manifest,), (config, chart))


def read_message(layer: bytes) -> str | None:
    """Return the message, if this layer holds it."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as tar:
        if "message" not in tar.getnames():
            return None
        content = tar.extractfile("message")
        return None if content is None else content.read().decode().strip()


def publish(hub: FakeUpstream, image: Image) -> None:
    """Put an image into an upstream that plays a registry."""
    for blob in image.blobs:
        hub.add_blob(blob, image.repository)
    for manifest in image.manifests:
        hub.add_manifest(image.repository, image.tag, manifest.body, manifest.media_type)


def push(url: str, image: Image) -> None:
    """Upload an image to a registry that asks for no login."""
    for blob in image.blobs:
        push_blob(url, image.repository, blob)
    tagged = image.manifests[-1]
    for reference, each in (
        *((each.digest, each) for each in image.manifests),
        (image.tag, tagged),
    ):
        push_manifest(url, image.repository, reference, each.body, each.media_type)


def _build_platform(
    message: str, architecture: str, media: Media, *, has_program: bool = True
) -> tuple[Manifest, tuple[bytes, ...]]:
    """Make one platform's manifest with its blobs; only this machine's has a program in it."""
    tars = [_tar("message", f"{message}\n".encode())]
    if has_program and architecture == here():
        tars.insert(0, _busybox_tar())
    layers = [gzip.compress(tar, 1, mtime=0) for tar in tars]
    config = _encode(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/bin/cat", "/message"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
            "history": [{"created_by": "entrepot's tests"} for _ in tars],
        }
    )
    fields = {
        "schemaVersion": 2,
        "mediaType": MANIFEST[media],
        "config": describe(CONFIG[media], digest_of(config), len(config)),
        "layers": [describe(GZIP_LAYER[media], digest_of(layer), len(layer)) for layer in layers],
    }
    return Manifest(_encode(fields), MANIFEST[media]), (config, *layers)


def _build_attestation(subject: Manifest) -> tuple[Manifest, tuple[bytes, ...]]:
    """Make the manifest with what buildx says of the building of one platform's image."""
    statement = _encode(
        {
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": PROVENANCE,
            "subject": [{"digest": {"sha256": subject.digest.partition(":")[2]}}],
            "predicate": {"buildType": "https://mobyproject.org/buildkit@v1"},
        }
    )
    config = _encode(
        UNKNOWN | {"rootfs": {"type": "layers", "diff_ids": [digest_of(statement)]}, "config": {}}
    )
    layer = describe("application/vnd.in-toto+json", digest_of(statement), len(statement))
    fields = {
        "schemaVersion": 2,
        "mediaType": MANIFEST["oci"],
        "config": describe(CONFIG["oci"], digest_of(config), len(config)),
        "layers": [layer | {"annotations": {"in-toto.io/predicate-type": PROVENANCE}}],
    }
    return Manifest(_encode(fields), MANIFEST["oci"]), (config, statement)


def _attests(subject: Manifest) -> dict[str, object]:
    """Return what the index says of an attestation manifest."""
    annotations = {
        "vnd.docker.reference.digest": subject.digest,
        "vnd.docker.reference.type": "attestation-manifest",
    }
    return {"annotations": annotations, "platform": UNKNOWN}


def _describe(manifest: Manifest) -> dict[str, Any]:
    return describe(manifest.media_type, manifest.digest, len(manifest.body))


def _busybox_tar() -> bytes:
    """Return the layer with the program; empty without busybox, and then the tests are skipped."""
    busybox = shutil.which("busybox")
    program = Path(busybox).read_bytes() if busybox else b""
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            _add(tar, "bin/busybox", program, 0o755)
            for applet in APPLETS:
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        return file.getvalue()


def _tar(name: str, content: bytes) -> bytes:
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            _add(tar, name, content, 0o644)
        return file.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def _encode(document: object) -> bytes:
    # Indented as docker does, so that no program rebuilds these bytes by accident.
    return json.dumps(document, indent=3).encode()
