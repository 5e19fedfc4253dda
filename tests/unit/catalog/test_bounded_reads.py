"""Laws of what clients ask: it costs the event loop the same in small and in large repositories."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from registry.catalog.blob_access import BlobAccess, BlobAccessCatalog
from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.oci.names import Repository, Tag

HERE = Repository("docker.io", "library/a")
THERE = Repository("ghcr.io", "library/a")
CONFIG, LAYER, OTHER = (Digest.of(name) for name in (b"config", b"layer", b"other"))
LATEST = Tag("latest")
MANY = 3000  # manifests of one repository


def image(layer: Digest) -> Manifest:
    config, described = (
        {"mediaType": "x", "digest": str(digest), "size": size}
        for digest, size in ((CONFIG, 7), (layer, 100))
    )
    document = {"config": config, "layers": [described]}
    return parse_manifest(json.dumps(document).encode(), media_types.OCI_MANIFEST)


@contextmanager
def count_steps(database: Database) -> Iterator[list[None]]:
    """Return a list that grows by one for each hundred instructions that SQLite runs."""
    steps: list[None] = []
    assert database._reader is not None
    database._reader.set_progress_handler(lambda: steps.append(None), 100)
    yield steps
    database._reader.set_progress_handler(None, 0)


async def test_a_blob_of_many_images_is_found_at_once(
    database: Database, manifests: ManifestCatalog, blobs: BlobAccessCatalog
) -> None:
    """A blob that very many images share is found fast, and only for repositories that have it."""
    mine = image(LAYER)
    await manifests.record(HERE, mine, LATEST, 1.0)

    def share(rows: sqlite3.Connection) -> None:
        # On both sides of ours, in the order in which SQLite comes by them.
        parents = [f"sha256:{number:02x}{number:062x}" for number in range(256)] * 8
        for number, parent in enumerate(parents):
            name = f"{parent[:-4]}{number:04x}"
            rows.execute("INSERT INTO links VALUES (?, ?, 0, 'x', 100)", (name, str(LAYER)))
            rows.execute("INSERT INTO holdings VALUES ('r.test/other', ?, 1.0)", (name,))

    await database.write(share)

    with count_steps(database) as steps:
        assert await blobs.find(HERE, LAYER) == BlobAccess(100)
        assert await blobs.find(THERE, LAYER) is None
    assert len(steps) < 50, "some thousand instructions"


async def fill(database: Database) -> None:
    """Insert manifests of HERE, all with LAYER of 100 bytes but the last, which has OTHER."""

    def insert(rows: sqlite3.Connection) -> None:
        for number in range(MANY):
            name = f"sha256:{number:064x}"
            child = LAYER if number < MANY - 1 else OTHER
            rows.execute("INSERT INTO holdings VALUES (?, ?, 1.0)", (str(HERE), name))
            rows.execute("INSERT INTO manifests VALUES (?, 'x', 1, NULL, '', '{}')", (name,))
            rows.execute("INSERT INTO links VALUES (?, ?, 0, 'x', 100)", (name, str(child)))

    await database.write(insert)


@pytest.mark.parametrize("question", ["blob", "missing", "referrers", "child", "catalog"])
async def test_no_question_reads_all_manifests_of_a_repository(
    database: Database, manifests: ManifestCatalog, blobs: BlobAccessCatalog, question: str
) -> None:
    """What clients ask costs the event loop the same in a small and in a large repository."""
    await fill(database)
    with count_steps(database) as steps:
        if question == "blob":
            assert await blobs.find(HERE, OTHER) == BlobAccess(100)
        elif question == "missing":
            assert await blobs.find(HERE, CONFIG) is None
            assert await blobs.find(THERE, LAYER) is None
        elif question == "referrers":
            assert manifests.list_referrers(HERE, OTHER) == []
        elif question == "child":
            assert not manifests.names_child(HERE, OTHER)
        else:
            assert manifests.list_repositories("", 1) == [str(HERE)]
    assert len(steps) < 50, "some thousand instructions"


async def test_a_frequent_blob_is_looked_for_in_all_manifests(
    database: Database, manifests: ManifestCatalog, blobs: BlobAccessCatalog
) -> None:
    """If blob and repository have many manifests, all of them are read in a thread."""
    await fill(database)
    there = image(OTHER)

    def share(rows: sqlite3.Connection) -> None:
        for number in range(MANY):
            parent = f"sha512:{number:0128x}"
            rows.execute("INSERT INTO links VALUES (?, ?, 0, 'x', 7)", (parent, str(CONFIG)))
            rows.execute("INSERT INTO links VALUES (?, ?, 0, 'x', 100)", (parent, str(OTHER)))

    await database.write(share)
    await manifests.record(THERE, there, LATEST, 1.0)

    with count_steps(database) as steps:
        assert await blobs.find(HERE, OTHER) == BlobAccess(100)
        assert await blobs.find(THERE, OTHER) == BlobAccess(100)
        assert await blobs.find(HERE, CONFIG) is None
    assert len(steps) < 200
