"""Laws of deliveries in the data folder: what ends with a catalog, and what a backup has."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.deliveries import DeliveryCatalog
from registry.oci.digest import Digest
from registry.wiring.backup_folder import open_backup
from tests.unit.content.content_site import HERE, THERE, Site, make_image, open_site

IMAGE = make_image(b"config", b"layer")
LAYER = Digest.of(b"layer")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path / "data") as site:
        await site.pull(HERE, IMAGE, "1")
        yield site


async def test_naming_a_blob_does_not_deliver_it(site: Site) -> None:
    """A manifest that was pulled makes nobody the one who has delivered a stored blob."""
    deliveries = DeliveryCatalog(site.database)
    assert deliveries.list_registries(IMAGE.digest) == {HERE.registry}
    assert deliveries.list_registries(LAYER) == frozenset()


async def test_a_rebuilt_catalog_believes_the_manifests(site: Site) -> None:
    """Who has delivered a blob is not on disk, so all count that refer to it."""
    await site.pull(THERE, IMAGE, "2")
    await site.database.write(lambda rows: rows.execute("DELETE FROM holdings"))
    await site.database.write(lambda rows: rows.execute("DELETE FROM tags"))
    await site.content.rebuild.recover(5000.0)

    deliveries = DeliveryCatalog(site.database)
    assert deliveries.list_registries(LAYER) == {HERE.registry, THERE.registry}


async def test_an_audit_believes_only_the_names(site: Site) -> None:
    """A name that a crash kept out of the catalog does not make its blobs delivered."""
    await site.database.write(lambda rows: rows.execute("DELETE FROM holdings"))
    found = await site.content.rebuild.adopt_names()

    assert found.names == 1
    assert DeliveryCatalog(site.database).list_registries(LAYER) == frozenset()


async def test_a_backup_knows_who_has_delivered_what(site: Site, tmp_path: Path) -> None:
    """What was delivered or proved has not to be proved again after a restore."""
    await DeliveryCatalog(site.database).record(LAYER, HERE.registry, 2000.0)
    await site.content.backup.write(open_backup(tmp_path / "backup"), lambda _: None)

    async with open_site(tmp_path / "backup") as copy:
        assert DeliveryCatalog(copy.database).list_registries(LAYER) == {HERE.registry}
