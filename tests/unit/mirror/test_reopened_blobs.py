"""Laws of a blob that is opened again: only what may be sent without asking anybody is opened."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from registry.catalog.blob_access import BlobAccessCatalog
from registry.mirror.blob_checks import GRANT_LIFE
from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from registry.store.local import DiskStore
from tests.harness.process_parts import ProcessParts
from tests.unit.mirror.trust_site import CONTENT, DIGEST, OTHER, PUBLIC, TEAM, Site, read


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(open_folder(tmp_path), stack)


@pytest.fixture
async def process(site: Site) -> ProcessParts:
    """A process where OTHER, whose manifest refers to the blob, has delivered it."""
    process = await site.open_process()
    await site.name(process, OTHER)
    assert await read(process, OTHER) == CONTENT
    return process


async def opens(process: ProcessParts, digest: Digest = DIGEST) -> bool:
    blob = await process.blobs.reopen(OTHER, digest)
    if blob is None:
        return False
    assert blob.origin is process.blobs.stored
    assert blob.size == len(CONTENT)
    blob.close()
    return True


async def test_a_stored_blob_is_opened(process: ProcessParts) -> None:
    """It is opened again and again, and its use is noted if it is sent."""
    pulls = process.blobs._pulls
    pulls._noted_blobs.clear()
    assert await opens(process)
    assert await opens(process)
    assert (OTHER, DIGEST) not in pulls._noted_blobs
    blob = await process.blobs.reopen(OTHER, DIGEST)
    assert blob is not None
    blob.note_use()
    blob.close()
    assert (OTHER, DIGEST) in pulls._noted_blobs


async def delete_file(process: ProcessParts) -> None:
    assert await process.store.delete(DIGEST)


async def cut_file(process: ProcessParts) -> None:
    assert isinstance(process.store, DiskStore)
    os.truncate(process.store._path(DIGEST), 5)


async def remove_manifest(process: ProcessParts) -> None:
    await process.database.write(
        lambda rows: rows.execute("DELETE FROM holdings WHERE repository = ?", (str(OTHER),))
    )


async def leave_an_old_grant(process: ProcessParts) -> None:
    await remove_manifest(process)
    catalog = BlobAccessCatalog(process.database)
    await catalog.grant(OTHER, DIGEST, len(CONTENT), process.clock() - GRANT_LIFE)


async def make_private(process: ProcessParts) -> None:
    await process.database.write(
        lambda rows: rows.execute("UPDATE deliveries SET registry = ?", (TEAM.registry,))
    )


CHANGES: dict[str, Callable[[ProcessParts], Awaitable[None]]] = {
    "the file was deleted": delete_file,
    "the file has another size": cut_file,
    "no manifest of the repository refers to it any more": remove_manifest,
    "the upstream has to be asked again": leave_an_old_grant,
    "only a private registry has delivered it": make_private,
}


@pytest.mark.parametrize("name", CHANGES)
async def test_nothing_is_opened_after(process: ProcessParts, name: str) -> None:
    """Each of these is seen by the next request, which then has to be answered in full."""
    assert await opens(process)
    await CHANGES[name](process)
    assert not await opens(process)


async def test_another_repository_opens_nothing(process: ProcessParts) -> None:
    """The permission of one repository is none for another."""
    assert await process.blobs.reopen(PUBLIC, DIGEST) is None
    assert await process.blobs.reopen(TEAM, DIGEST) is None


async def test_what_is_not_stored_is_not_opened(process: ProcessParts) -> None:
    """A digest that nobody has pulled is not downloaded for this."""
    assert not await opens(process, Digest.of(b"other"))
