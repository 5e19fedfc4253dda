"""Laws of manifests that are right in memory, and whose bytes on the disk are gone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.content.content import Content
from registry.errors import StoreError
from registry.mirror.manifest_cache import ManifestCache
from registry.oci.names import Reference
from tests.unit.mirror.manifest_site import FIRST, HERE, SECOND, TAG, Site, open_site

DIGEST = str(FIRST.digest)
REFERENCES: list[Reference] = [TAG, FIRST.digest]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


@pytest.fixture
async def cache(site: Site) -> ManifestCache:
    """A cache that has the manifest in memory, by both names."""
    cache = site.open_cache()
    for reference in REFERENCES:
        await cache.keep(HERE, reference, FIRST, 1.0)
    site.execute(f"INSERT INTO blobs VALUES ('{DIGEST}', 1, 1.0)")
    cache.look_for_changes()
    return cache


def evict(site: Site) -> None:
    """As another process does that needs the space."""
    site.file_of(FIRST).unlink()
    site.execute("DELETE FROM blobs")


def quarantine(site: Site) -> None:
    """As an audit does that finds it damaged."""
    site.execute(f"INSERT INTO quarantine VALUES ('{DIGEST}', 1)")
    evict(site)


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
async def test_a_manifest_that_was_evicted_is_stored_when_it_is_pulled(
    site: Site, cache: ManifestCache, reference: Reference
) -> None:
    """Until somebody wants it, it stays evicted; then its bytes come from memory."""
    evict(site)
    cache.look_for_changes()
    await cache.store_again()
    assert not site.file_of(FIRST).exists()

    known = cache.remember(HERE, reference)
    await cache.store_again()

    assert known is not None
    assert site.file_of(FIRST).read_bytes() == FIRST.raw


async def test_a_manifest_that_was_damaged_is_stored_at_once(
    site: Site, cache: ManifestCache
) -> None:
    """A damaged manifest is replaced by what is right in memory, without a pull."""
    quarantine(site)
    cache.look_for_changes()
    await cache.store_again()
    assert site.file_of(FIRST).read_bytes() == FIRST.raw


async def test_what_is_not_in_memory_is_not_stored(site: Site) -> None:
    """A process that does not have it leaves it to the next pull."""
    cache = site.open_cache()
    await cache.keep(HERE, TAG, SECOND, 1.0)
    site.execute(f"INSERT INTO quarantine VALUES ('{DIGEST}', 1)")
    cache.look_for_changes()
    await cache.store_again()
    assert not site.file_of(FIRST).exists()


async def test_names_and_times_are_kept(site: Site, cache: ManifestCache) -> None:
    """Only the bytes are stored again: who confirmed the tag, and when, does not change."""
    site.execute("UPDATE tags SET bundle = 'sha256:b', signer = 'key.pem', checked = 7.0")
    before = await site.tags.read(HERE, TAG)
    quarantine(site)
    cache.look_for_changes()
    await cache.store_again()
    record = site.open_manifests().catalog.find_tag(HERE, TAG)
    assert record is not None
    assert (record.bundle, record.signer, record.checked) == ("sha256:b", "key.pem", 7.0)
    assert await site.tags.read(HERE, TAG) == before


async def test_a_disk_that_refuses_is_tried_again(
    site: Site, cache: ManifestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest stays in memory until the disk takes it."""

    async def refuse(*_: object) -> None:
        raise StoreError("spool", "No space left on device")

    quarantine(site)
    cache.look_for_changes()
    with monkeypatch.context() as patched:
        patched.setattr(Content, "wait_for_ingest", refuse)
        await cache.store_again()
    assert not site.file_of(FIRST).exists()
    await cache.store_again()
    assert site.file_of(FIRST).read_bytes() == FIRST.raw
