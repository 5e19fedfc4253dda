"""Images: manifest, config and layers, as registries store them."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.upstream.content import digest_bytes

Media = Literal["oci", "docker"]

MANIFEST: Mapping[Media, str] = {
    "oci": "application/vnd.oci.image.manifest.v1+json",
    "docker": "application/vnd.docker.distribution.manifest.v2+json",
}
INDEX: Mapping[Media, str] = {
    "oci": "application/vnd.oci.image.index.v1+json",
    "docker": "application/vnd.docker.distribution.manifest.list.v2+json",
}
CONFIG: Mapping[Media, str] = {
    "oci": "application/vnd.oci.image.config.v1+json",
    "docker": "application/vnd.docker.container.image.v1+json",
}
PLAIN_LAYER: Mapping[Media, str] = {
    "oci": "application/vnd.oci.image.layer.v1.tar",
    "docker": "application/vnd.docker.image.rootfs.diff.tar",
}
GZIP_LAYER: Mapping[Media, str] = {media: name + "+gzip" for media, name in PLAIN_LAYER.items()}
GZIP_LAYER = {**GZIP_LAYER, "docker": "application/vnd.docker.image.rootfs.diff.tar.gzip"}


@dataclass(frozen=True)
class Image:
    """A manifest that was added: an image (config and layers) or an index (manifests)."""

    repository: str
    tag: str | None
    digest: str
    manifest: bytes = field(repr=False)
    media_type: str
    platform: tuple[str, str] | None = None
    config: str | None = None
    layers: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def blobs(self) -> tuple[str, ...]:
        """Config and layers, in the order of the manifest."""
        return (*([self.config] if self.config else []), *self.layers)

    @property
    def total(self) -> int:
        """The bytes of all its blobs, each counted once, without the manifest."""
        return sum(self.sizes[digest] for digest in set(self.blobs))

    def describe(self) -> dict[str, Any]:
        """The descriptor with which another manifest refers to this manifest."""
        descriptor: dict[str, Any] = describe(self.media_type, self.digest, len(self.manifest))
        if self.platform is not None:
            system, architecture = self.platform
            descriptor["platform"] = {"architecture": architecture, "os": system}
        return descriptor


def describe(media_type: str, digest: str, size: int) -> dict[str, Any]:
    """A descriptor with its three mandatory fields."""
    return {"mediaType": media_type, "digest": digest, "size": size}


def layer_media(media: Media, head: bytes) -> str:
    """Return the media type of a layer that begins with these bytes."""
    return (GZIP_LAYER if head[:2] == b"\x1f\x8b" else PLAIN_LAYER)[media]


def diff_digest(layer: bytes) -> str:
    """Return the digest of a layer without its compression, for the config."""
    return digest_bytes(gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer)


def build_config(platform: tuple[str, str], diffs: Sequence[str]) -> bytes:
    """Return the config of an image with these uncompressed layers."""
    system, architecture = platform
    config = {
        "architecture": architecture,
        "os": system,
        "config": {"Cmd": ["/hello"]},
        "rootfs": {"type": "layers", "diff_ids": list(diffs)},
        "history": [{"created_by": f"layer {number}"} for number, _ in enumerate(diffs)],
    }
    return json.dumps(config, sort_keys=True).encode()


def build_manifest(media_type: str, fields: Mapping[str, Any]) -> bytes:
    """Return a manifest with docker's indentation: a re-encoded one has other bytes."""
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, **present}, indent=3).encode()
