"""What the conformance suite asks for: an image, an index over it, and a signature of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from tests.conformance.suite import Content

REPOSITORY = "library/conformance"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
SIGNATURE = "application/vnd.example.signature.v1"


@dataclass(frozen=True)
class Manifest:
    """One manifest as bytes; `tag` is empty where it is only known by digest."""

    body: bytes
    media_type: str
    tag: str = ""

    @property
    def digest(self) -> str:
        """The digest by which it is asked for."""
        return digest_of(self.body)


@dataclass(frozen=True)
class Sample:
    """Blobs first, then manifests in an order in which a registry accepts them."""

    blobs: tuple[bytes, ...]
    manifests: tuple[Manifest, ...]
    subject: str

    def content(self) -> Content:
        """The same, by name, for the suite."""
        return Content(
            repository=REPOSITORY,
            tags=[manifest.tag for manifest in self.manifests if manifest.tag],
            manifests=[manifest.digest for manifest in self.manifests],
            blobs=[digest_of(blob) for blob in self.blobs],
            referrers=[self.subject],
        )


def digest_of(body: bytes) -> str:
    """The sha256 digest of these bytes, in the form `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


def build() -> Sample:
    """Make the sample; the same bytes every time."""
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    layers = (b"a small layer\n" * 64, b"a layer of several buffers\n" * 60_000)
    signature = b"not really a signature"
    image = Manifest(
        _image(_descriptor(CONFIG, config), [_descriptor(LAYER, layer) for layer in layers]),
        IMAGE,
        "1.0",
    )
    signed = _image(
        _descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        [_descriptor(SIGNATURE, signature)],
        artifactType=SIGNATURE,
        subject=_descriptor(IMAGE, image.body),
    )
    platform = {"os": "linux", "architecture": "amd64"}
    index = _encode(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [_descriptor(IMAGE, image.body) | {"platform": platform}],
        }
    )
    return Sample(
        blobs=(config, *layers, signature, b"{}"),
        manifests=(image, Manifest(signed, IMAGE, "signature"), Manifest(index, INDEX, "latest")),
        subject=image.digest,
    )


def _descriptor(media_type: str, body: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(body), "size": len(body)}


def _image(config: object, layers: object, **more: object) -> bytes:
    return _encode(
        {"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers, **more}
    )


def _encode(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
