"""Laws of proofs: a registry gets the bytes of another domain only if it has them itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from registry.catalog.deliveries import DeliveryCatalog
from registry.catalog.manifests import ManifestCatalog
from registry.errors import BlobUnknown, DigestMismatch, UpstreamUnreachable
from registry.mirror import deliveries as module
from registry.mirror.blob_bodies import StoredBlob
from registry.mirror.cache_status import CacheStatus
from registry.mirror.deliveries import PART
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor
from registry.store.data_folder import open_folder
from registry.upstream.offline import OfflineSource
from tests.fakes.source import FLIPPED
from tests.harness.process_parts import ProcessParts
from tests.unit.mirror.trust_site import (
    CONTENT,
    DIGEST,
    OTHER,
    PUBLIC,
    TEAM,
    Site,
    make_manifest,
    read,
)

BLOB = Descriptor("x", DIGEST, len(CONTENT))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(open_folder(tmp_path), stack)


async def open_stored(process: ProcessParts) -> CacheStatus:
    """Pull the blob for PUBLIC, which has to be served from the store; return its origin."""
    blob = await process.blobs.get(PUBLIC, DIGEST)
    blob.close()
    assert isinstance(blob, StoredBlob)
    return blob.origin


async def test_a_digest_alone_opens_nothing(site: Site) -> None:
    """A registry that names a private digest and does not have it is answered as if nobody had."""
    process = await site.fill()
    site.public.blobs.clear()

    assert not await process.blobs.is_here(PUBLIC, DIGEST)
    for _ in range(2):
        with pytest.raises(BlobUnknown):
            await read(process, PUBLIC)
    with pytest.raises(BlobUnknown):
        await process.blobs.fetch(PUBLIC, BLOB)
    assert await process.blobs.is_here(TEAM, DIGEST)
    assert await read(process, TEAM) == CONTENT


async def test_who_has_the_bytes_shows_it_once(site: Site) -> None:
    """Two parts of the blob are asked for; then it is served, also to the other public upstream."""
    process = await site.fill()

    first = await open_stored(process)
    given = site.public.tap.given
    second = await open_stored(process)

    assert (first, second) == (CacheStatus.MISS, CacheStatus.HIT)
    assert given == site.public.tap.given == 2 * PART
    assert await read(process, OTHER) == CONTENT
    assert site.other.tap.given == 0
    found = DeliveryCatalog(process.database).list_registries(DIGEST)
    assert found == {PUBLIC.registry, TEAM.registry}


async def test_a_part_anywhere_is_compared(site: Site) -> None:
    """Who knows only the begin of a private blob does not get its end."""
    process = await site.fill()
    key = (PUBLIC.name, str(DIGEST))
    site.public.blobs[key] = CONTENT[:PART] + CONTENT[PART:].translate(FLIPPED)

    with pytest.raises(DigestMismatch):
        await read(process, PUBLIC)
    assert not await process.blobs.is_here(PUBLIC, DIGEST)


async def test_other_bytes_are_refused(site: Site) -> None:
    """An upstream that sends anything is refused as one that sends a wrong blob."""
    process = await site.fill()
    site.public.tap.is_lying = True

    with pytest.raises(DigestMismatch):
        await read(process, PUBLIC)
    with pytest.raises(DigestMismatch):
        await process.blobs.fetch(PUBLIC, BLOB)


@pytest.mark.parametrize("begin", [3 * PART, len(CONTENT) + 1])
async def test_without_ranges_a_longer_begin_is_compared(
    site: Site, monkeypatch: pytest.MonkeyPatch, begin: int
) -> None:
    """An upstream that always sends the whole blob is stopped some time after the first part."""
    monkeypatch.setattr(module, "BEGIN", begin)
    process = await site.fill()
    site.public.tap.has_ranges = False

    assert await open_stored(process) is CacheStatus.MISS
    assert site.public.tap.given == min(begin, len(CONTENT))


async def test_without_ranges_the_first_part_is_not_enough(site: Site) -> None:
    """Who says that it has no ranges needs more of a blob than who has them."""
    process = await site.fill()
    site.public.tap.has_ranges = False
    key = (PUBLIC.name, str(DIGEST))
    site.public.blobs[key] = CONTENT[:PART] + CONTENT[PART:].translate(FLIPPED)

    with pytest.raises(DigestMismatch):
        await read(process, PUBLIC)


@pytest.mark.parametrize("size", [0, 1, 2 * PART, 2 * PART + 1])
async def test_a_small_blob_is_compared_wholly(site: Site, size: int) -> None:
    """Up to the size of two parts, all bytes are asked for."""
    content = CONTENT[:size]
    digest = Digest.of(content)
    process = await site.open_process()
    for repository, source in ((TEAM, site.team), (PUBLIC, site.public)):
        source.blobs[repository.name, str(digest)] = content
        named = make_manifest(digest, size)
        await ManifestCatalog(process.database).record(repository, named, None, 1.0)
    assert await process.blobs.fetch(TEAM, Descriptor("x", digest, size))

    assert not await process.blobs.fetch(PUBLIC, Descriptor("x", digest, size))
    assert site.public.tap.given == min(size, 2 * PART)
    assert await process.blobs.is_here(PUBLIC, digest)


async def test_an_outage_is_an_error(site: Site) -> None:
    """If the upstream cannot be asked, the answer is that for a blob that is not stored."""
    process = await site.fill()
    site.public.tap.is_down = True

    with pytest.raises(UpstreamUnreachable):
        await read(process, PUBLIC)
    assert await read(process, TEAM) == CONTENT


async def test_an_upstream_that_drips_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client waits no longer for a proof than for the first byte of a download."""
    monkeypatch.setattr(module, "PROOF_BUDGET", 0.05)
    process = await site.fill()
    site.public.tap.give(100)

    with pytest.raises(UpstreamUnreachable):
        await read(process, PUBLIC)


async def test_offline_unproved_is_not_here(site: Site) -> None:
    """Without an upstream nobody can prove anything; what was delivered is served."""
    process = await site.fill()
    for name in list(site.sources):
        process.deliveries._sources[name] = OfflineSource(name)  # type: ignore[index]

    with pytest.raises(BlobUnknown):
        await read(process, PUBLIC)
    assert await read(process, TEAM) == CONTENT


async def test_a_crowd_shares_a_proof(site: Site) -> None:
    """Clients that ask at the same time cause one proof."""
    process = await site.fill()

    found = await asyncio.gather(*(read(process, PUBLIC) for _ in range(20)))

    assert set(found) == {CONTENT}
    assert site.public.tap.given == 2 * PART


async def test_the_size_of_a_private_blob_is_not_told(site: Site) -> None:
    """If an upstream says only that it has a blob, the size of the stored one is not told."""
    process = await site.open_process()
    await site.name(process, TEAM)
    assert await read(process, TEAM) == CONTENT
    site.public.tap.tells_size = False

    assert await process.blobs.stat(PUBLIC, DIGEST) is None
    assert await read(process, PUBLIC) == CONTENT
    assert await process.blobs.stat(PUBLIC, DIGEST) == len(CONTENT)


@pytest.mark.parametrize("private", [(), (TEAM.registry,)])
async def test_public_bytes_are_for_all(site: Site, private: tuple[str, ...]) -> None:
    """What a public registry has delivered needs no proof, of no registry."""
    process = await site.open_process(private)
    await site.name(process, PUBLIC, TEAM, OTHER)
    assert await read(process, PUBLIC) == CONTENT

    assert await read(process, OTHER) == CONTENT
    assert await read(process, TEAM) == CONTENT
    assert (site.other.tap.given, site.team.tap.given) == (0, 0)


async def test_without_credentials_the_catalog_is_not_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If nothing is private, a hit costs nothing more."""
    process = await site.open_process(())
    await site.name(process, PUBLIC, TEAM)
    assert await read(process, TEAM) == CONTENT
    monkeypatch.delattr(DeliveryCatalog, "list_registries")

    assert await read(process, PUBLIC) == CONTENT


async def test_a_later_login_takes_effect(site: Site) -> None:
    """A password makes private from then on what was delivered before it."""
    process = await site.open_process(())
    await site.name(process, PUBLIC, TEAM)
    assert await read(process, TEAM) == CONTENT
    site.public.blobs.clear()
    assert await read(process, PUBLIC) == CONTENT

    private = await site.open_process()
    with pytest.raises(BlobUnknown):
        await read(private, PUBLIC)
