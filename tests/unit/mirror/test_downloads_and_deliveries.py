"""Laws of deliveries that are under way: only verified bytes of the registry itself count."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from registry.errors import BlobUnknown, DigestMismatch, EntrepotError
from registry.mirror.blob_bodies import StoredBlob
from registry.store.data_folder import open_folder
from registry.store.ingests import IngestInfo, Ingests
from tests.unit.mirror.trust_site import (
    CONTENT,
    DIGEST,
    PUBLIC,
    TEAM,
    Site,
    read,
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(open_folder(tmp_path), stack)


async def test_what_was_just_delivered_needs_no_proof(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that comes while the catalog records the blob causes no further request."""
    process = await site.open_process()
    await site.name(process, PUBLIC)
    space, is_stored, may_record = process.content.space, asyncio.Event(), asyncio.Event()
    record = space.record

    async def record_slowly(*values: Any, **more: Any) -> None:
        is_stored.set()
        await may_record.wait()
        await record(*values, **more)

    monkeypatch.setattr(space, "record", record_slowly)
    first = asyncio.create_task(read(process, PUBLIC))
    async with asyncio.timeout(10):
        await is_stored.wait()

    blob = await process.blobs.get(PUBLIC, DIGEST)
    blob.close()
    may_record.set()
    assert await first == CONTENT
    assert isinstance(blob, StoredBlob)
    assert site.public.tap.given == len(CONTENT)


@pytest.mark.parametrize("given", [0, 1000])
async def test_a_download_that_has_begun_opens_nothing(site: Site, given: int) -> None:
    """Who sends some wrong bytes does not get the right ones that another domain then stores."""
    process = await site.open_process()
    await site.name(process, PUBLIC, TEAM)
    site.public.tap.is_lying = True
    site.public.tap.give(given)
    waiting = asyncio.create_task(process.blobs.get(PUBLIC, DIGEST))
    for _ in range(2000):
        if process.ingests.list_digests():
            break
        await asyncio.sleep(0)
    if given:
        (await waiting).close()
    assert await read(process, TEAM) == CONTENT

    asking = asyncio.create_task(process.blobs.get(PUBLIC, DIGEST)) if given else waiting
    await asyncio.sleep(0)
    if given:
        site.public.tap.flow()
    else:
        site.public.tap.give(1)
    try:
        async with asyncio.timeout(10):
            blob = await asking
    except DigestMismatch:
        return
    blob.close()
    assert not isinstance(blob, StoredBlob)


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize("owner", [None, str(TEAM)])
async def test_bytes_of_a_former_writer_prove_nothing(
    site: Site, owner: str | None, is_sealed: bool
) -> None:
    """What an import or another registry has left is not continued, and is nobody's delivery."""
    process = await site.open_process()
    await site.name(process, PUBLIC)
    writer = Ingests(site.folder.ingests).take(DIGEST)
    assert writer is not None
    writer.append([CONTENT])  # the last byte is held back until the file is sealed
    if is_sealed:
        writer.seal()
    writer.close()
    if owner is not None:
        process.ingests.write_info(DIGEST, IngestInfo(len(CONTENT), owner, "there", 1.0))
    site.public.blobs[PUBLIC.name, str(DIGEST)] = bytes(len(CONTENT) - 1) + CONTENT[-1:]

    with pytest.raises(EntrepotError) as refusal:
        await read(process, PUBLIC)
    assert isinstance(refusal.value, DigestMismatch)


async def test_what_an_import_stores_meanwhile_is_proved(site: Site) -> None:
    """A client that waits while an import writes the blob does not get the bytes of the import."""
    process = await site.open_process()
    await site.name(process, PUBLIC)
    site.public.blobs.clear()
    ingest = process.content.content.try_ingest(DIGEST)
    assert ingest is not None
    await ingest.append([CONTENT], len(CONTENT))

    reading = asyncio.create_task(read(process, PUBLIC))
    await asyncio.sleep(0.05)
    assert not reading.done()
    await ingest.commit()

    with pytest.raises(BlobUnknown):
        await reading
