"""Laws of the shelf: what is in hand is served, whatever catalog and disk do."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog
from registry.content.content import Content
from registry.content.manifests import ManifestStore
from registry.mirror.manifest_cache import GLANCE, ManifestCache
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
    """One data folder, and the shelves of any number of processes on it."""

    def __init__(self, folder: DataFolder, database: Database) -> None:
        self.folder = folder
        self.store = DiskStore(folder.blobs, folder.quarantine)
        self._database = database

    def open_shelf(self) -> ManifestCache:
        catalog = ManifestCatalog(self._database)
        ingests, space = Ingests(self.folder.ingests), AmpleSpace(self.store)
        content = Content(self.store, self.store, ingests, space)
        manifests = ManifestStore(content, TagFiles(self.folder.tags), catalog)
        return ManifestCache(ManifestMemory(10**6), catalog, manifests)

    def file_of(self, manifest: Manifest) -> Path:
        name = manifest.digest.encoded
        return self.folder.blobs / "sha256" / name[:2] / name

    def execute(self, statement: str) -> None:
        """Change the catalog behind everybody's back."""
        with closing(sqlite3.connect(self.folder.catalog)) as rows, rows:
            rows.execute(statement)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    folder = open_folder(tmp_path)
    async with Database(folder.catalog) as database:
        yield Site(folder, database)


async def test_refusing_catalog_costs_no_confirmed_tag(site: Site) -> None:
    """A tag that was just confirmed is known, although the catalog cannot write it down."""
    shelf = site.open_shelf()
    await shelf.keep(HERE, TAG, FIRST, 100.0)
    site.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON tags BEGIN SELECT RAISE(FAIL, 'disk is full'); END"
    )

    known = await shelf.confirm(HERE, TAG, FIRST, 200.0)
    remembered = shelf.remember(HERE, TAG, 200.0 + 2 * GLANCE)

    assert (known.manifest, known.checked) == (FIRST, 200.0)
    assert known == remembered


async def test_own_writes_empty_no_memory(site: Site) -> None:
    """After a write of our own, what was read stays read: no file is opened for it again."""
    shelf = site.open_shelf()
    await shelf.keep(HERE, TAG, FIRST, 100.0)
    shelf.remember(HERE, TAG, 100.0)
    await shelf.keep(HERE, Tag("2"), SECOND, 100.0)
    site.file_of(FIRST).unlink()

    known = shelf.remember(HERE, TAG, 100.0 + 2 * GLANCE)

    assert known is not None
    assert FIRST is known.manifest


async def test_moved_tag_is_seen(site: Site) -> None:
    """What another process learnt of a tag counts within a moment."""
    mine, theirs = site.open_shelf(), site.open_shelf()
    await mine.keep(HERE, TAG, FIRST, 100.0)
    assert mine.remember(HERE, TAG, 100.0) is not None
    await theirs.keep(HERE, TAG, SECOND, 101.0)

    known = mine.remember(HERE, TAG, 101.0 + GLANCE) or await mine.recall(HERE, TAG)

    assert known is not None
    assert SECOND.digest == known.manifest.digest


async def test_lost_holding_is_seen(site: Site) -> None:
    """What the repository no longer has by the catalog is not served from memory."""
    shelf = site.open_shelf()
    await shelf.keep(HERE, TAG, FIRST, 100.0)
    assert shelf.remember(HERE, TAG, 100.0) is not None
    site.execute("DELETE FROM holdings")

    assert shelf.remember(HERE, TAG, 100.0 + GLANCE) is None
    assert await shelf.recall(HERE, TAG) is None


async def test_recalling_what_is_in_memory_reads_no_file(site: Site) -> None:
    """A stale tag is recalled with its newest check, and the disk is not asked for its bytes."""
    mine, theirs = site.open_shelf(), site.open_shelf()
    await mine.keep(HERE, TAG, FIRST, 100.0)
    await theirs.confirm(HERE, TAG, FIRST, 300.0)
    site.file_of(FIRST).unlink()

    known = await mine.recall(HERE, TAG)

    assert known is not None
    assert (known.manifest, known.checked) == (FIRST, 300.0)


async def test_spoilt_manifest_is_written_again(site: Site) -> None:
    """Bytes that a disk has changed are not served, and the next ones are kept in their place."""
    await site.open_shelf().keep(HERE, TAG, FIRST, 100.0)
    path = site.file_of(FIRST)
    path.chmod(0o600)
    path.write_bytes(FIRST.raw.replace(b"schemaVersion", b"schemaVersioN"))

    assert await site.open_shelf().recall(HERE, TAG) is None
    await site.open_shelf().keep(HERE, TAG, FIRST, 200.0)

    assert FIRST.raw == site.file_of(FIRST).read_bytes()
    known = await site.open_shelf().recall(HERE, TAG)
    assert known is not None
    assert known.manifest == FIRST
