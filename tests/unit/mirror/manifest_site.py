"""One data folder with manifests, and the manifest caches of any number of processes on it."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NoReturn

from registry.catalog.database import Database
from registry.content.manifests import ManifestStore
from registry.errors import StoreError
from registry.mirror.manifest_cache import ManifestCache
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.oci.names import Repository, Tag
from registry.store.data_folder import DataFolder, open_folder
from registry.wiring.content import open_handles
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import ProcessParts

HERE, TAG = Repository("docker.io", "library/a"), Tag("1")


def make(name: str) -> Manifest:
    described = {"mediaType": "x", "size": 1, "digest": str(Digest.of(name.encode()))}
    raw = json.dumps({"schemaVersion": 2, "config": described, "layers": []}).encode()
    return parse_manifest(raw, media_types.OCI_MANIFEST)


FIRST, SECOND = make("first"), make("second")


class Site:
    """One data folder, and the caches of any number of processes on it."""

    def __init__(self, folder: DataFolder, database: Database) -> None:
        self.handles, self.folder = open_handles(folder), folder
        self.tags = self.handles.tags
        self.database = database

    def open_process(self) -> ProcessParts:
        return ProcessParts(self.handles, self.database, space=AmpleSpace(self.handles.store))

    def open_manifests(self) -> ManifestStore:
        return self.open_process().content.manifests

    def open_cache(self) -> ManifestCache:
        return self.open_process().cache

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
