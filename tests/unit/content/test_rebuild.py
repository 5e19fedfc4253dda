"""Laws of a rebuild: it records everything that the files say, and nothing else."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.content import rebuild as module
from registry.content.rebuild import Rebuilt
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.names import Tag
from registry.store.tags import TagTarget
from tests.unit.content.content_site import (
    HERE,
    THERE,
    Image,
    Site,
    make_image,
    make_index,
    open_site,
)

AMD, ARM = (
    make_image(b"amd-config", b"shared", b"amd"),
    make_image(b"arm-config", b"shared", b"arm"),
)
INDEX = make_index(AMD, ARM)
TABLES = ("manifests", "links", "holdings", "tags", "blobs", "pulls", "quarantine")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        await site.pull(HERE, INDEX, "1")
        for image in (AMD, ARM):
            await site.pull(HERE, image)
        await site.pull(THERE, AMD, "1", "2")
        yield site


async def lose(site: Site) -> None:
    """Lose the catalog, as if its file was damaged and renamed."""

    def change(rows: sqlite3.Connection) -> None:
        for table in TABLES:
            rows.execute(f"DELETE FROM {table}")
        rows.execute("UPDATE usage SET bytes = 0")

    await site.database.write(change)


async def test_a_lost_catalog_is_made_again(site: Site) -> None:
    """Names, manifests, references, blobs, sizes and times are as before."""
    before = await site.images.load()
    used = site.catalog.used()
    await lose(site)
    await site.content.rebuild.recover(5000.0)
    assert await site.images.load() == before
    assert site.catalog.used() == used == site.measure()
    assert {stored for _, stored in site.catalog.list_after("", 99)} == {5000.0}


async def test_recovering_again_changes_nothing(site: Site) -> None:
    """A second rebuild records and counts nothing again."""
    before = await site.images.load()
    await site.content.rebuild.recover(5000.0)
    assert await site.content.rebuild.adopt_names() == Rebuilt(0, 0)
    assert await site.images.load() == before
    assert site.catalog.used() == site.measure()


@pytest.mark.parametrize("batch", [1, 3, 9, 10])
async def test_no_blob_is_left_out(site: Site, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """All blobs are recorded, also if they are more than one batch."""
    monkeypatch.setattr(module, "BATCH", batch)
    await lose(site)
    await site.content.rebuild.recover(5000.0)
    assert len(site.catalog.list_after("", 99)) == len(site.list_files()) == 8


async def test_names_without_manifests_are_lost(site: Site) -> None:
    """A name whose manifest was evicted is counted as lost; other names are recorded."""
    await lose(site)
    site.path_of(AMD.digest).unlink()
    found = await site.content.rebuild.adopt_names()
    assert found == Rebuilt(names=3, lost=4)
    assert site.manifests.find_tag(THERE, Tag("1")) is None
    assert site.manifests.find_tag(HERE, Tag("1")) is not None


async def test_a_damaged_manifest_is_lost_and_quarantined(site: Site) -> None:
    """A manifest with other bytes than its digest is not an image any more."""
    await lose(site)
    site.spoil(AMD.digest, AMD.manifest.raw.replace(b"amd", b"AMD") + b" ")
    await site.content.rebuild.recover(5000.0)
    assert site.manifests.find_media_type(AMD.digest) is None
    assert not site.is_here(AMD.digest)
    assert site.catalog.used() == site.measure()


async def test_one_lost_name_is_found(site: Site) -> None:
    """A tag whose row was lost in a power cut is recorded again, with its time."""
    await site.database.write(
        lambda rows: rows.execute("DELETE FROM tags WHERE tag = '2' AND repository LIKE 'ghcr%'")
    )
    assert await site.content.rebuild.adopt_names() == Rebuilt(1, 0)
    record = site.manifests.find_tag(THERE, Tag("2"))
    assert record is not None
    assert (record.digest, record.checked) == (AMD.digest, 1000.0)


async def test_who_keeps_or_removes_an_image_just_now_is_let_be(site: Site) -> None:
    """A name that another process is recording or removing is not adopted."""
    unknown = TagTarget(str(AMD.digest), media_types.OCI_MANIFEST, 1.0)
    for name in ("new", "old", "lost"):
        await site.references.write(HERE, Tag(name), unknown)
    adopting = asyncio.create_task(site.content.rebuild.adopt_names(wait=0.3))
    await asyncio.sleep(0.1)
    await site.manifests.record(HERE, AMD.manifest, Tag("new"), 2.0)
    await site.references.remove(HERE, Tag("old"))

    assert await adopting == Rebuilt(names=1, lost=0)

    new, old, lost = (site.manifests.find_tag(HERE, Tag(name)) for name in ("new", "old", "lost"))
    assert new is not None
    assert lost is not None
    assert (new.checked, old, lost.checked) == (2.0, None, 1.0)


async def test_what_the_catalog_knows_is_newer(site: Site) -> None:
    """A tag in the catalog is not replaced by an older tag file."""
    old = TagTarget(str(ARM.digest), media_types.OCI_MANIFEST, 1.0)
    await site.references.write(THERE, Tag("1"), old)
    assert await site.content.rebuild.adopt_names() == Rebuilt(0, 0)
    record = site.manifests.find_tag(THERE, Tag("1"))
    assert record is not None
    assert record.digest == AMD.digest


@pytest.mark.parametrize("media_type", ["text/html", media_types.OCI_INDEX, ""])
async def test_a_spoilt_pointer_costs_no_manifest(site: Site, media_type: str) -> None:
    """A tag file with a wrong type does not have its manifest quarantined."""
    pointer = TagTarget(str(AMD.digest), media_type, 1.0)
    await site.references.write(HERE, Tag("spoilt"), pointer)
    found = await site.content.rebuild.adopt_names()
    assert found.names == 0
    assert site.is_here(AMD.digest)


async def test_unknown_files_are_passed_over(site: Site) -> None:
    """Files that are neither tag files nor blobs do not stop a rebuild."""
    for path in ("x", "docker.io/@/tag-a b", "docker.io/a/@/tag-1", "docker.io/a/@/digest-md5-00"):
        place = site.folder.tags / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b'{"digest": 5}')
    await lose(site)
    await site.content.rebuild.recover(5000.0)
    assert len((await site.images.load()).images) == 3


async def test_layers_without_names_are_blobs(site: Site) -> None:
    """A blob that no manifest refers to is recorded, and may be evicted."""
    await lose(site)
    unknown = site.adopt(b"orphan")
    await site.content.rebuild.recover(5000.0)
    assert unknown in await site.list_evictable()
    assert site.catalog.find_size(Digest.of(b"orphan")) == 6


@pytest.mark.parametrize("content", [b"", b"am", b"amd and more"])
async def test_a_blob_of_another_size_is_quarantined(site: Site, content: bytes) -> None:
    """A blob that is shorter or longer than its manifest says is quarantined."""
    layer = Digest.of(b"amd")
    await lose(site)
    site.spoil(layer, content)
    await site.content.rebuild.recover(5000.0)
    assert site.catalog.find_size(layer) is None
    assert not site.is_here(layer)
    assert site.catalog.list_quarantined() == [(layer, len(content))]
    assert site.is_here(Digest.of(b"shared"))
    assert site.catalog.used() == site.measure()


async def test_one_manifest_that_says_its_size_is_enough(site: Site) -> None:
    """A blob is kept if one manifest states its size, even if others do not."""
    raw = AMD.manifest.raw.replace(b'"size": 3', b'"size": 4')
    assert raw != AMD.manifest.raw
    await site.pull(THERE, Image(parse_manifest(raw, media_types.OCI_MANIFEST)), "lie")
    await lose(site)
    await site.content.rebuild.recover(5000.0)
    assert site.catalog.list_quarantined() == []
    assert site.is_here(Digest.of(b"amd"))


async def test_what_was_quarantined_counts_again(site: Site) -> None:
    """Quarantined files count once, and are deleted before blobs."""
    layer = Digest.of(b"amd")
    await site.evictor.quarantine(layer, "damaged")
    await site.fill(b"amd")
    (site.folder.quarantine / "unknown-file").touch()
    used = site.catalog.used()
    await lose(site)
    for _ in range(2):
        await site.content.rebuild.recover(5000.0)
        assert site.catalog.list_quarantined() == [(layer, 3)]
        assert site.catalog.used() == used == site.measure()
    assert site.catalog.find_size(layer) == 3
