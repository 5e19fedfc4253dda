"""One data folder with manifests, and the manifest caches of any number of processes on it."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NoReturn

from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog
from registry.content.content import Content
from registry.content.manifests import ManifestStore
from registry.errors import StoreError
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.manifest_memory import ManifestMemory
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.oci.names import Repository, Tag
from registry.store.data_folder import DataFolder, open_folder
from registry.store.ingests import Ingests
from registry.store.local import DiskStore
from registry.store.tags import TagFiles
from tests.fakes.space import AmpleSpace

HERE, TAG = Repository("docker.io", "library/a"), Tag("1")


def make(name: str) -> Manifest:
    described = {"mediaType": "x", "size": 1, "digest": str(Digest.of(name.encode()))}
    raw = json.dumps({"schemaVersion": 2, "config": described, "layers": []}).encode()
    return parse_manifest(raw, media_types.OCI_MANIFEST)


FIRST, SECOND = make("first"), make("second")


class Site:
    """One data folder, and the caches of any number of processes on it."""

    def __init__(self, folder: DataFolder, database: Database) -> None:
        self.folder = folder
        self.store = DiskStore(folder.blobs, folder.quarantine)
        self.tags = TagFiles(folder.tags)
        self.database = database

    def open_manifests(self) -> ManifestStore:
        ingests, space = Ingests(self.folder.ingests), AmpleSpace(self.store)
        content = Content(self.store, self.store, ingests, space)
        return ManifestStore(content, self.tags, ManifestCatalog(self.database))

    def open_cache(self) -> ManifestCache:
        manifests = self.open_manifests()
        return ManifestCache(ManifestMemory(10**6), manifests.catalog, manifests)

    def file_of(self, manifest: Manifest) -> Path:
        name = manifest.digest.encoded
        return self.folder.blobs / "sha256" / name[:2] / name

    def execute(self, statement: str) -> None:
        """Change the catalog as another process would."""
        with closing(sqlite3.connect(self.folder.catalog)) as rows, rows:
            rows.execute(statement)


def refuse(*_: object) -> NoReturn:
    raise StoreError("catalog.db", "disk I/O error")


async def refuse_to_put(*_: object, **__: object) -> NoReturn:
    raise StoreError("tags", "disk is full")


@asynccontextmanager
async def open_site(path: Path) -> AsyncIterator[Site]:
    """Open a data folder at `path`."""
    folder = open_folder(path)
    async with Database(folder.catalog) as database:
        yield Site(folder, database)
