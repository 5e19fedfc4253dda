"""An empty catalog, and the parts of it that several tests use."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.blob_access import BlobAccessCatalog
from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "catalog.db") as opened:
        yield opened


@pytest.fixture
def manifests(database: Database) -> ManifestCatalog:
    return ManifestCatalog(database)


@pytest.fixture
def blobs(database: Database) -> BlobAccessCatalog:
    return BlobAccessCatalog(database)
