"""The content of the registry: blobs by digest; manifests, tags and grants by repository."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.upstream import images
from tests.fakes.upstream.content import (
    Content,
    Held,
    Stamped,
    digest_bytes,
    digest_stamped,
    read_all,
)
from tests.fakes.upstream.images import Image, Media


@dataclass(frozen=True)
class Manifest:
    """A manifest with its media type."""

    digest: str
    raw: bytes
    media_type: str


@dataclass
class Repository:
    """The manifests by digest, the digests by tag, and the digests of served blobs."""

    manifests: dict[str, Manifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)


class Holdings:
    """The content of the fake. A blob is served only in repositories that it was granted to."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._contents: dict[str, Content] = {}
        self._repositories: dict[str, Repository] = {}

    def add_blob(self, data: bytes, repository: str | None = None) -> str:
        """Store a blob; it is served in `repository`, or nowhere before a call of `grant`."""
        return self._store(digest_bytes(data), Held(data), repository)

    def add_big_blob(self, size: int, seed: int = 0, repository: str | None = None) -> str:
        """Store `size` pseudo-random bytes; the same size and seed give the same digest."""
        return self._store(digest_stamped(size, seed), Stamped(size, seed), repository)

    def _store(self, digest: str, content: Content, repository: str | None) -> str:
        with self._lock:
            self._contents[digest] = content
            if repository is not None:
                self.grant(repository, digest)
        return digest

    def blob(self, digest: str) -> bytes:
        """Return all bytes of a blob."""
        return read_all(self._contents[digest])

    def grant(self, repository: str, *digests: str) -> None:
        """Serve these blobs in this repository too."""
        with self._lock:
            self._open(repository).blobs.update(digests)

    def add_image(
        self,
        repository: str,
        tag: str | None,
        layers: Sequence[bytes | str],
        *,
        media: Media = "oci",
        platform: tuple[str, str] = ("linux", "amd64"),
        annotations: Mapping[str, str] | None = None,
        subject: Image | str | None = None,
        artifact_type: str | None = None,
    ) -> Image:
        """Add an image with these layers (bytes, or digests of stored blobs)."""
        with self._lock:
            digests = [self.add_blob(one) if isinstance(one, bytes) else one for one in layers]
            config = images.build_config(platform, [self._diff(digest) for digest in digests])
            config_digest = self.add_blob(config)
            sizes = {one: self._contents[one].size for one in (config_digest, *digests)}
            fields = {
                "artifactType": artifact_type,
                "config": images.describe(images.CONFIG[media], config_digest, len(config)),
                "layers": [
                    images.describe(images.layer_media(media, self._head(one)), one, sizes[one])
                    for one in digests
                ],
                "subject": self._describe(repository, subject) if subject else None,
                "annotations": dict(annotations) if annotations else None,
            }
            raw = images.build_manifest(images.MANIFEST[media], fields)
            self.grant(repository, *sizes)
            digest = self.add_manifest(repository, tag, raw, images.MANIFEST[media])
        return Image(
            repository,
            tag,
            digest,
            raw,
            images.MANIFEST[media],
            platform=platform,
            config=config_digest,
            layers=tuple(digests),
            sizes=sizes,
        )

    def add_index(
        self,
        repository: str,
        tag: str | None,
        members: Sequence[Image],
        *,
        media: Media = "oci",
        annotations: Mapping[str, str] | None = None,
    ) -> Image:
        """Add an index (manifest list) that points to these images."""
        fields = {
            "manifests": [member.describe() for member in members],
            "annotations": dict(annotations) if annotations else None,
        }
        raw = images.build_manifest(images.INDEX[media], fields)
        digest = self.add_manifest(repository, tag, raw, images.INDEX[media])
        return Image(
            repository,
            tag,
            digest,
            raw,
            images.INDEX[media],
            manifests=tuple(member.digest for member in members),
            sizes={member.digest: len(member.manifest) for member in members},
        )

    def add_manifest(
        self, repository: str, reference: str | None, raw: bytes, media_type: str
    ) -> str:
        """Serve exactly these bytes; a reference with a colon is a digest, and not checked."""
        claimed = reference if reference is not None and ":" in reference else None
        digest = claimed or digest_bytes(raw)
        with self._lock:
            self._open(repository).manifests[digest] = Manifest(digest, raw, media_type)
            if reference is not None and claimed is None:
                self.tag(repository, reference, digest)
        return digest

    def tag(self, repository: str, tag: str, digest: str) -> None:
        """Let the tag lead to this digest."""
        with self._lock:
            self._open(repository).tags[tag] = digest

    def remove_tag(self, repository: str, tag: str) -> None:
        """Remove the tag; its manifest stays."""
        with self._lock:
            self._repositories[repository].tags.pop(tag, None)

    def remove_repository(self, repository: str) -> None:
        """Remove the repository with its manifests, tags and grants."""
        with self._lock:
            self._repositories.pop(repository, None)

    def find_manifest(self, repository: str, reference: str) -> Manifest | None:
        """Return the manifest of a tag or digest."""
        with self._lock:
            known = self._repositories.get(repository, Repository())
            return known.manifests.get(known.tags.get(reference, reference))

    def find_blob(self, repository: str, digest: str) -> Content | None:
        """Return the blob, if it is served in this repository."""
        with self._lock:
            known = self._repositories.get(repository)
            return self._contents.get(digest) if known and digest in known.blobs else None

    def list_tags(self, repository: str) -> list[str] | None:
        """Return the tags in lexical order; None for an unknown repository."""
        with self._lock:
            known = self._repositories.get(repository)
            return None if known is None else sorted(known.tags)

    def list_referrers(self, repository: str, digest: str) -> list[dict[str, Any]]:
        """Return the descriptors of the manifests whose subject is this digest."""
        with self._lock:
            known = list(self._repositories.get(repository, Repository()).manifests.values())
        found = []
        for manifest in known:
            document = json.loads(manifest.raw) if b'"subject"' in manifest.raw else {}
            if document.get("subject", {}).get("digest") == digest:
                found.append(_describe_referrer(manifest, document))
        return found

    def _open(self, repository: str) -> Repository:
        return self._repositories.setdefault(repository, Repository())

    def _head(self, digest: str) -> bytes:
        content = self._contents[digest]
        return bytes(content.piece(0, 2)) if content.size else b""

    def _diff(self, digest: str) -> str:
        packed = self._head(digest)[:2] == b"\x1f\x8b"
        return images.diff_digest(self.blob(digest)) if packed else digest

    def _describe(self, repository: str, subject: Image | str) -> dict[str, Any]:
        digest = subject if isinstance(subject, str) else subject.digest
        manifest = self.find_manifest(repository, digest)
        if manifest is None:
            # A subject may be pushed after its referrers, so it need not be here.
            return images.describe(images.MANIFEST["oci"], digest, 2)
        return images.describe(manifest.media_type, digest, len(manifest.raw))


def _describe_referrer(manifest: Manifest, document: Mapping[str, Any]) -> dict[str, Any]:
    descriptor = images.describe(manifest.media_type, manifest.digest, len(manifest.raw))
    kind = document.get("artifactType") or document.get("config", {}).get("mediaType")
    if kind:
        descriptor["artifactType"] = kind
    if document.get("annotations"):
        descriptor["annotations"] = document["annotations"]
    return descriptor
