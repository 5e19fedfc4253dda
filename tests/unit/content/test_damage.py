"""Laws of damaged blobs whose file the disk refuses to move: they count as missing."""

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest

from registry.catalog.usage import UsageCatalog
from registry.content.content import Content
from registry.errors import StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from tests.unit.content.content_site import Site, open_site

SIZE = 1000
CONTENT, DAMAGED = b"a" * SIZE, b"b" * SIZE


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def refuse(*_: object) -> NoReturn:
    raise OSError("the disk refuses")


async def refuse_row(*_: object) -> NoReturn:
    raise StoreError("catalog.db", "disk I/O error")


async def download(content: Content) -> Digest:
    """Store the blob as a download does."""
    ingest = await content.wait_for_ingest(Digest.of(CONTENT))
    assert ingest is not None, "it counts as stored"
    async with ingest:
        await ingest.append((CONTENT,), SIZE)
        return (await ingest.commit()).digest


async def damage(site: Site, content: Content) -> Digest:
    """Store a blob, change its bytes on disk, and have them read, while the disk refuses moves."""
    digest = await site.fill(CONTENT)
    site.spoil(digest, DAMAGED)
    assert await content.read_all(digest, SIZE) is None
    assert site.is_here(digest)
    return digest


async def list_served(content: Content, digest: Digest) -> list[object]:
    """Return the answers for a blob in every way in which it can be served."""
    body = await content.blobs.open(digest)
    if body is not None:
        body.close()
    scanned = [found async for found, _ in content.blobs.scan()]
    return [answer for answer in (body, await content.blobs.stat(digest), *scanned) if answer]


@pytest.fixture
def stuck(site: Site, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make the disk refuse to move files, until `undo`."""
    monkeypatch.setattr(site.handles.store, "quarantine", refuse)
    return monkeypatch


async def test_every_process_misses_a_damaged_blob_that_cannot_be_moved(
    site: Site, stuck: pytest.MonkeyPatch
) -> None:
    """A damaged blob of the right size is not served, by no process, while it cannot be moved."""
    content = site.content.content
    digest = await damage(site, content)
    async with open_site(site.folder.root) as other:
        for process in (content, other.content.content):
            assert await list_served(process, digest) == []
            with pytest.raises(StoreError, match="damaged"):
                await anext(aiter(process.blobs.read(digest, Span(0, 1))))


async def test_this_process_misses_it_if_the_catalog_refuses_too(
    site: Site, stuck: pytest.MonkeyPatch
) -> None:
    """If the catalog refuses the row, at least the process that found the damage remembers it."""
    content = site.content.content
    stuck.setattr(UsageCatalog, "quarantine", refuse_row)
    digest = await damage(site, content)
    assert await list_served(content, digest) == []

    stuck.undo()
    await download(content)

    assert await content.read_all(digest, SIZE) == CONTENT


async def test_a_download_takes_the_place_of_a_damaged_file(
    site: Site, stuck: pytest.MonkeyPatch
) -> None:
    """The blob is downloaded again, and then it is served."""
    content = site.content.content
    digest = await damage(site, content)

    await download(content)

    assert await content.read_all(digest, SIZE) == CONTENT
    stuck.undo()
    await site.room.finish_interrupted()
    assert site.path_of(digest).read_bytes() == CONTENT
    assert (site.catalog.used(), site.catalog.list_quarantined()) == (SIZE, [])


async def test_a_download_that_fails_does_not_record_a_damaged_file(
    site: Site, stuck: pytest.MonkeyPatch
) -> None:
    """When a download ends early, the damaged file in its place still counts as missing."""
    content = site.content.content
    digest = await damage(site, content)

    ingest = await content.wait_for_ingest(digest)
    assert ingest is not None
    async with ingest:
        await ingest.append((CONTENT[:10],), SIZE)

    assert await list_served(content, digest) == []
    assert site.catalog.find_size(digest) is None


async def test_a_damaged_file_is_moved_as_soon_as_the_disk_allows(
    site: Site, stuck: pytest.MonkeyPatch
) -> None:
    """The background process moves the file later, and its bytes count once."""
    digest = await damage(site, site.content.content)
    stuck.undo()

    await site.room.finish_interrupted()

    assert not site.is_here(digest)
    assert site.catalog.list_quarantined() == [(digest, SIZE)]
    assert site.catalog.used() == site.measure() == SIZE


async def test_a_blob_that_is_damaged_again_is_missing_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier damaged file in quarantine does not hide that the newer one was not moved."""
    content = site.content.content
    await site.evictor.quarantine(await site.fill(CONTENT), "damaged")
    monkeypatch.setattr(site.handles.store, "quarantine", refuse)
    digest = await damage(site, content)
    assert await list_served(content, digest) == []


async def test_a_new_file_is_served_before_it_is_recorded(site: Site) -> None:
    """After its damaged file was moved, a new file is served at once, although it has no row."""
    await site.evictor.quarantine(await site.fill(CONTENT), "damaged")
    site.adopt(CONTENT)
    body = await site.content.content.blobs.open(Digest.of(CONTENT))
    assert body is not None
    with closing(body):
        assert body.size == SIZE


async def test_a_file_of_another_size_is_damaged(site: Site, stuck: pytest.MonkeyPatch) -> None:
    """A file that has not its recorded size is missing from then on, also if it cannot be moved."""
    content = site.content.content
    digest = await site.fill(CONTENT)
    assert await content.check_size(digest, SIZE)
    site.spoil(digest, CONTENT[:-1])
    with pytest.raises(OSError, match="the disk refuses"):
        await content.check_size(digest, SIZE - 1)
    assert await list_served(content, digest) == []

    stuck.undo()
    await site.room.finish_interrupted()

    assert not site.is_here(digest)
    assert site.catalog.list_quarantined() == [(digest, SIZE - 1)]
    assert site.catalog.used() == SIZE - 1
