"""Laws of deliveries: each is written with what it is about, and goes with it."""

import json

import pytest

from registry.catalog.database import Database
from registry.catalog.deliveries import DeliveryCatalog
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.rebuild import RebuildCatalog
from registry.catalog.usage import UsageCatalog
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.oci.names import Repository

HERE, THERE = Repository("docker.io", "library/a"), Repository("ghcr.io", "library/a")
LAYER, OTHER = Digest.of(b"layer"), Digest.of(b"other")


@pytest.fixture
def deliveries(database: Database) -> DeliveryCatalog:
    return DeliveryCatalog(database)


@pytest.fixture
def usage(database: Database) -> UsageCatalog:
    return UsageCatalog(database)


def image(*layers: Digest) -> Manifest:
    described = [{"mediaType": "x", "digest": str(each), "size": 5} for each in layers]
    document = {"config": described[0], "layers": described}
    return parse_manifest(json.dumps(document).encode(), media_types.OCI_MANIFEST)


async def test_a_download_is_the_delivery_of_its_registry(
    deliveries: DeliveryCatalog, usage: UsageCatalog
) -> None:
    """Only where one registry has delivered all bytes, its name is recorded."""
    await usage.record(LAYER, 5, 1.0, registry=HERE.registry)
    await usage.record(OTHER, 5, 1.0)

    assert deliveries.list_registries(LAYER) == {HERE.registry}
    assert deliveries.list_registries(OTHER) == frozenset()


async def test_a_second_download_adds_a_registry(
    deliveries: DeliveryCatalog, usage: UsageCatalog
) -> None:
    """A blob that replaces itself keeps the deliveries that it has."""
    await usage.record(LAYER, 5, 1.0, registry=HERE.registry)
    await usage.record(LAYER, 5, 2.0, registry=THERE.registry)
    await usage.record(LAYER, 5, 3.0)

    assert deliveries.list_registries(LAYER) == {HERE.registry, THERE.registry}


async def test_a_proof_counts_for_what_is_stored(
    deliveries: DeliveryCatalog, usage: UsageCatalog
) -> None:
    """A blob that was evicted during the proof leaves no row behind."""
    await usage.record(LAYER, 5, 1.0)
    for digest in (LAYER, OTHER):
        await deliveries.record(digest, THERE.registry, 2.0)

    assert deliveries.list_registries(LAYER) == {THERE.registry}
    assert deliveries.list_registries(OTHER) == frozenset()


@pytest.mark.parametrize("way", ["deleted", "quarantined", "dropped"])
async def test_the_rows_go_with_the_blob(
    deliveries: DeliveryCatalog, usage: UsageCatalog, way: str
) -> None:
    """Whoever has delivered a blob has to deliver or prove it again after it was deleted."""
    for digest in (LAYER, OTHER):
        await usage.record(digest, 5, 1.0, registry=HERE.registry)
    if way == "deleted":
        await usage.mark_deleting(LAYER)
        await usage.mark_deleted(LAYER)
    elif way == "quarantined":
        await usage.quarantine(LAYER, 5)
    else:
        await usage.drop(LAYER)

    assert deliveries.list_registries(LAYER) == frozenset()
    assert deliveries.list_registries(OTHER) == {HERE.registry}


@pytest.mark.parametrize("with_blobs", [False, True])
async def test_a_manifest_is_delivered_and_its_blobs_are_not(
    database: Database, deliveries: DeliveryCatalog, manifests: ManifestCatalog, with_blobs: bool
) -> None:
    """A manifest that names a stored blob delivers only itself, unless an import brings both."""
    named = image(LAYER, OTHER)
    stored = [(LAYER, 5), (named.digest, len(named.raw))]
    await RebuildCatalog(database).record_blobs(stored, 1.0)
    await manifests.record(HERE, named, None, 2.0, with_blobs=with_blobs)

    assert deliveries.list_registries(named.digest) == {HERE.registry}
    assert deliveries.list_registries(LAYER) == ({HERE.registry} if with_blobs else frozenset())
    assert deliveries.list_registries(OTHER) == frozenset()
