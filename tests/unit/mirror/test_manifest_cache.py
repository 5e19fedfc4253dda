"""Laws of the manifest cache: when memory, catalog and disk are read."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from registry.catalog.database import Database
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.pulls import Pull, PullCatalog
from registry.content.manifests import ManifestStore
from registry.errors import StoreError
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.manifest_memory import ManifestMemory
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Tag
from tests.unit.mirror.manifest_site import (
    FIRST,
    HERE,
    SECOND,
    TAG,
    Site,
    make,
    open_site,
    refuse,
    refuse_to_put,
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def test_refusing_catalog_costs_no_confirmed_tag(site: Site) -> None:
    """A tag that was just confirmed is known, although the catalog could not record it."""
    cache = site.open_cache()
    await cache.keep(HERE, TAG, FIRST, 100.0)
    site.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON tags BEGIN SELECT RAISE(FAIL, 'disk is full'); END"
    )

    known = await cache.confirm(HERE, TAG, FIRST, 200.0, cache.generation)
    cache.look_for_changes()
    remembered = cache.remember(HERE, TAG)

    assert (known.manifest, known.checked) == (FIRST, 200.0)
    assert known == remembered


async def test_a_change_reads_no_file_again(site: Site) -> None:
    """After a change of another tag the catalog is read, and no manifest file."""
    cache = site.open_cache()
    await cache.keep(HERE, TAG, FIRST, 100.0)
    await cache.keep(HERE, Tag("2"), FIRST, 100.0)
    await cache.keep(HERE, Tag("2"), SECOND, 100.0)
    site.file_of(FIRST).unlink()

    cache.look_for_changes()
    known = cache.remember(HERE, TAG)

    assert known is not None
    assert FIRST is known.manifest


async def test_moved_tag_is_seen(site: Site) -> None:
    """When another process has moved a tag, the next look for changes shows it."""
    mine, theirs = site.open_cache(), site.open_cache()
    await mine.keep(HERE, TAG, FIRST, 100.0)
    assert mine.remember(HERE, TAG) is not None
    mine.look_for_changes()
    await theirs.keep(HERE, TAG, SECOND, 101.0)

    mine.look_for_changes()
    known = mine.remember(HERE, TAG) or await mine.recall(HERE, TAG)

    assert known is not None
    assert SECOND.digest == known.manifest.digest


async def test_lost_holding_is_seen(site: Site) -> None:
    """A manifest that the repository lost in the catalog is not served from memory."""
    cache = site.open_cache()
    await cache.keep(HERE, TAG, FIRST, 100.0)
    cache.look_for_changes()
    assert cache.remember(HERE, TAG) is not None
    site.execute("DELETE FROM holdings")

    cache.look_for_changes()
    assert cache.remember(HERE, TAG) is None
    assert await cache.recall(HERE, TAG) is None


async def test_recalling_what_is_in_memory_reads_no_file(site: Site) -> None:
    """A stale tag is recalled with its newest check, and no file is read."""
    mine, theirs = site.open_cache(), site.open_cache()
    await mine.keep(HERE, TAG, FIRST, 100.0)
    await theirs.confirm(HERE, TAG, FIRST, 300.0, theirs.generation)
    site.file_of(FIRST).unlink()

    known = await mine.recall(HERE, TAG)

    assert known is not None
    assert (known.manifest, known.checked) == (FIRST, 300.0)


async def test_spoilt_manifest_is_written_again(site: Site) -> None:
    """A manifest that was damaged on disk is not served, and is replaced by a download."""
    await site.open_cache().keep(HERE, TAG, FIRST, 100.0)
    path = site.file_of(FIRST)
    path.chmod(0o600)
    path.write_bytes(FIRST.raw.replace(b"schemaVersion", b"schemaVersioN"))

    assert await site.open_cache().recall(HERE, TAG) is None
    await site.open_cache().keep(HERE, TAG, FIRST, 200.0)

    assert FIRST.raw == site.file_of(FIRST).read_bytes()
    known = await site.open_cache().recall(HERE, TAG)
    assert known is not None
    assert known.manifest == FIRST


async def test_pulls_do_not_make_a_hit_ask_the_catalog(site: Site) -> None:
    """However many pulls are recorded, by this process or another, a hit costs no catalog query."""
    cache = site.open_cache()
    await cache.keep(HERE, TAG, FIRST, 100.0)
    cache.look_for_changes()
    assert cache.remember(HERE, TAG) is not None
    pull = Pull(HERE, TAG, FIRST.digest, "10.0.0.1", 200.0)
    queries: list[str] = []
    assert site.database._reader is not None
    async with Database(site.folder.catalog) as other:
        for database in (site.database, other):
            await PullCatalog(database).record([pull])
            await ManifestCatalog(database).confirm_tag(HERE, TAG, FIRST.digest, 200.0)
            await ManifestCatalog(database).record(HERE, SECOND, Tag("new"), 200.0)
            await ManifestCatalog(database).record(HERE, FIRST, TAG, 200.0)
            cache.look_for_changes()
            site.database._reader.set_trace_callback(queries.append)
            known = cache.remember(HERE, TAG)
            site.database._reader.set_trace_callback(None)
            assert known is not None
            assert FIRST is known.manifest
    assert queries == []


OTHER = Digest.of(b"other")
CHANGES = (
    f"UPDATE tags SET digest = '{OTHER}' WHERE tag = '1'",
    f"INSERT OR REPLACE INTO tags VALUES ('{HERE}', '1', '{OTHER}', 1.0, '', '', '', 0, 0, 0)",
    "DELETE FROM tags WHERE tag = '1'",
    "DELETE FROM holdings",
)


@pytest.mark.parametrize("change", CHANGES)
async def test_every_kind_of_change_is_seen(site: Site, change: str) -> None:
    """After any statement that makes a manifest in memory wrong, it is not served."""
    cache = site.open_cache()
    await cache.keep(HERE, TAG, FIRST, 100.0)
    cache.look_for_changes()
    site.execute(change)

    cache.look_for_changes()

    assert cache.remember(HERE, TAG) is None


async def test_a_change_while_a_manifest_is_read_is_not_missed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag that moves while its former manifest is read from the disk is looked up again."""
    await site.open_cache().keep(HERE, TAG, FIRST, 100.0)
    cache = site.open_cache()
    cache.look_for_changes()
    read = ManifestStore.recall

    async def move_meanwhile(*arguments: Any) -> Manifest | None:
        found = await read(*arguments)
        await site.open_cache().keep(HERE, TAG, SECOND, 101.0)
        cache.look_for_changes()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(ManifestStore, "recall", move_meanwhile)
        await cache.recall(HERE, TAG)
    known = cache.remember(HERE, TAG) or await cache.recall(HERE, TAG)

    assert known is not None
    assert SECOND.digest == known.manifest.digest


async def test_a_catalog_that_cannot_be_read_is_asked_each_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as changes cannot be seen, memory is compared with the catalog, which refuses."""
    cache = site.open_cache()
    await cache.keep(HERE, TAG, FIRST, 100.0)
    cache.look_for_changes()

    with monkeypatch.context() as patched:
        patched.setattr(Database, "read", refuse)
        cache.look_for_changes()
        with pytest.raises(StoreError):
            cache.remember(HERE, TAG)
    cache.look_for_changes()
    assert cache.remember(HERE, TAG) is not None


async def test_what_the_disk_refused_is_stored_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest that a full disk refused is served from memory, and stored when it has space."""
    cache = site.open_cache()
    with monkeypatch.context() as patched:
        patched.setattr(ManifestStore, "put", refuse_to_put)
        await cache.keep(HERE, TAG, FIRST, 100.0)
        await cache.store_again()
        assert cache.remember(HERE, TAG) is not None
        assert not site.file_of(FIRST).exists()

        patched.setattr(Database, "read", refuse)
        await cache.store_again()

    await cache.store_again()

    known = await site.open_cache().recall(HERE, TAG)
    assert known is not None
    assert (known.manifest, known.checked) == (FIRST, 100.0)


async def test_storing_later_replaces_nothing_newer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag that another process recorded later than the disk's refusal stays as it is."""
    cache = site.open_cache()
    with monkeypatch.context() as patched:
        patched.setattr(ManifestStore, "put", refuse_to_put)
        await cache.keep(HERE, TAG, FIRST, 100.0)
    await site.open_cache().keep(HERE, TAG, SECOND, 101.0)

    await cache.store_again()

    known = await site.open_cache().recall(HERE, TAG)
    assert known is not None
    assert SECOND.digest == known.manifest.digest


async def test_nothing_is_kept_of_what_left_memory(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that refuses for days does not make more manifests stay in memory."""
    process = site.open_process()
    memory = ManifestMemory(10_000)
    cache = ManifestCache(memory, process.content.manifests.catalog, process.content.manifests)
    with monkeypatch.context() as patched:
        patched.setattr(ManifestStore, "put", refuse_to_put)
        patched.setattr(ManifestStore, "keep_bytes", refuse_bytes)
        for number in range(50):
            await cache.keep(HERE, Tag(str(number)), make(str(number)), 100.0)
            cache._note_lost(make(str(number)))
        await cache.store_again()

    assert 0 < len(cache._unrecorded) < 10
    assert 0 < len(cache._lost) < 10
    await cache.store_again()
    assert not cache._unrecorded
    assert not cache._lost
    assert site.file_of(make("49")).exists()


async def refuse_bytes(*_: object) -> bool:
    return False
