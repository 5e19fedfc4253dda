"""A data folder with images as if clients had pulled them, without network and server."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.catalog.database import migrate
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.oci.names import Repository, Tag, parse_reference, parse_repository
from registry.settings.model import Settings
from registry.settings.tables import read_table
from registry.store.contract import ManagedStore
from registry.store.data_folder import open_folder
from registry.wiring.content import ContentServices, open_content, open_handles

NOW = 1_000_000.0


def make_settings(path: Path, **storage: object) -> Settings:
    """Return settings with a data folder."""
    return read_table(Settings, {"storage": {"path": str(path), **storage}})


@dataclass(frozen=True)
class FilledFolder:
    """An open data folder."""

    path: Path
    content: ContentServices

    @property
    def store(self) -> ManagedStore:
        """The blobs on the disk, as another process opens them."""
        return open_handles(open_folder(self.path)).store

    async def put_blob(self, content: bytes) -> dict[str, object]:
        """Store a blob, and return its descriptor."""
        digest = Digest.of(content)
        if await self.content.content.blobs.stat(digest) is None:
            ingest = self.content.content.try_ingest(digest)
            assert ingest is not None
            async with ingest:
                await ingest.restart()
                await ingest.append([content] if content else [], len(content))
                await ingest.commit()
        return {"digest": str(digest), "size": len(content)}

    async def put_image(
        self,
        name: str,
        layers: Sequence[bytes],
        *,
        platform: str = "linux/amd64",
        **further: object,
    ) -> Manifest:
        """Store an image; without a tag in `name` (`registry/repository`) only by digest."""
        system, _, architecture = platform.partition("/")
        config = {"os": system, "architecture": architecture, "name": name, "rootfs": {}}
        document = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json"}
            | await self.put_blob(json.dumps(config).encode()),
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar"} | await self.put_blob(each)
                for each in layers
            ],
        }
        return await self.put_document(name, document | further)

    async def put_index(
        self, name: str, children: Mapping[str, Manifest], *, others: Sequence[Manifest] = ()
    ) -> Manifest:
        """Store an index of images by platform; `others` are listed, and need not be stored."""
        entries = []
        for platform, child in children.items():
            system, _, architecture = platform.partition("/")
            entry: dict[str, object] = _describe(child)
            entries.append(entry | {"platform": {"os": system, "architecture": architecture}})
        entries += [_describe(other) for other in others]
        document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
        return await self.put_document(name, document)

    async def put_document(self, name: str, document: Mapping[str, object]) -> Manifest:
        """Store any manifest."""
        repository, tag = split(name)
        raw = json.dumps(document).encode()
        manifest = parse_manifest(raw, str(document["mediaType"]))
        await self.content.manifests.keep(repository, manifest, tag, NOW)
        return manifest


def split(name: str) -> tuple[Repository, Tag | None]:
    """Read `registry/repository[:tag]`."""
    bare, _, tag = name.partition(":")
    reference = parse_reference(tag) if tag else None
    assert reference is None or isinstance(reference, Tag)
    return parse_repository(bare), reference


def _describe(manifest: Manifest) -> dict[str, object]:
    return {
        "mediaType": manifest.media_type,
        "digest": str(manifest.digest),
        "size": len(manifest.raw),
    }


@asynccontextmanager
async def open_filled(path: Path, **storage: object) -> AsyncIterator[FilledFolder]:
    """Open a data folder, which is made if it is missing."""
    folder = open_folder(path)
    migrate(folder.catalog)
    async with open_content(make_settings(path, **storage)) as content:
        yield FilledFolder(path, content)
