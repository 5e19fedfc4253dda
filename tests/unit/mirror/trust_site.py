"""A private and a public upstream, one data folder, and processes before them."""

import asyncio
import json
import os
from collections.abc import Collection
from contextlib import AsyncExitStack, closing

from registry.catalog.manifests import ManifestCatalog
from registry.mirror.blob_bodies import StoredBlob
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.oci.names import Repository
from registry.store.contract import FileBody
from registry.store.data_folder import DataFolder
from tests.fakes.source import MemorySource, Tap
from tests.harness.process_parts import ProcessParts, open_parts

TEAM, PUBLIC = Repository("team.example", "app"), Repository("docker.io", "library/a")
OTHER = Repository("quay.io", "a")  # another public one
CONTENT = bytes(range(251)) * 1000
DIGEST = Digest.of(CONTENT)


def make_manifest(digest: Digest = DIGEST, size: int = len(CONTENT)) -> Manifest:
    described = {"mediaType": "x", "size": size, "digest": str(digest)}
    raw = json.dumps({"schemaVersion": 2, "config": described, "layers": []}).encode()
    return parse_manifest(raw, media_types.OCI_MANIFEST)


class Site:
    """Three upstreams that have the same blob; each has a manifest here that refers to it."""

    def __init__(self, folder: DataFolder, stack: AsyncExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.sources = {
            each.registry: MemorySource(Tap(), blobs={(each.name, str(DIGEST)): CONTENT})
            for each in (PUBLIC, TEAM, OTHER)
        }
        self.public, self.team, self.other = self.sources.values()

    async def open_process(self, private: Collection[str] = (TEAM.registry,)) -> ProcessParts:
        return await open_parts(
            self._stack, self.folder, sources=self.sources, private=private, missing_for=10.0
        )

    async def name(self, process: ProcessParts, *repositories: Repository) -> None:
        """Record a manifest of each repository that refers to the blob."""
        for repository in repositories:
            catalog = ManifestCatalog(process.database)
            await catalog.record(repository, make_manifest(), None, 1.0)

    async def fill(self) -> ProcessParts:
        """Return a process with all manifests, where TEAM has delivered the blob."""
        process = await self.open_process()
        await self.name(process, PUBLIC, TEAM, OTHER)
        assert await read(process, TEAM) == CONTENT
        return process


async def read(process: ProcessParts, repository: Repository) -> bytes:
    """Pull the blob as a client does, and let its download end."""
    async with asyncio.timeout(10):
        blob = await process.blobs.get(repository, DIGEST)
        with closing(blob):
            if isinstance(blob, StoredBlob):
                assert isinstance(blob.body, FileBody)
                return os.pread(blob.body.descriptor, blob.size, 0)
            offset = 0
            while (written := await blob.advance(offset)) != offset:
                offset = written
            content = os.pread(blob.fileno(), offset, 0)
        for _ in range(2000):
            if process.content._usage_catalog.find_size(DIGEST) is not None:
                break
            await asyncio.sleep(0.005)
        return content
