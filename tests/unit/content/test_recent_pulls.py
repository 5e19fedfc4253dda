"""Laws of images that are pulled just now: no eviction takes them (`storage.keep_pulled`)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from registry.catalog.pulls import BlobUse
from registry.content.free_space import FreeSpace
from registry.content.space import LEAST_FREE
from registry.errors import StoreError
from registry.oci.digest import Digest
from tests.unit.content.content_site import HERE, THERE, Site, make_image, open_site

SIZE = 10_000
LIMIT = 5 * SIZE
KEEP = 60.0
NEXT = Digest.of(b"next")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path, LIMIT, keep_pulled=KEEP) as site:
        yield site


async def pull(site: Site, name: bytes) -> Digest:
    """Store an image of 3 * SIZE bytes as a pull does, and return its layer."""
    image = make_image(b"config of " + name, name * 3 * SIZE)
    digest = await site.pull(HERE, image)
    await site.note_pulls((HERE, digest, site.now))
    return Digest.of(image.blobs[1])


async def test_nothing_goes_within_a_minute_of_its_pull(site: Site) -> None:
    """A second image that does not fit is refused, and is stored a minute after the first."""
    layer = await pull(site, b"a")
    site.now += KEEP - 1
    with pytest.raises(StoreError, match="no space"):
        await site.room.reserve(NEXT, 3 * SIZE)
    assert site.is_here(layer)

    site.now += 4  # also the time for which what failed is not tried again
    await site.room.reserve(NEXT, 3 * SIZE)

    assert not site.is_here(layer)


async def test_only_older_images_go(site: Site) -> None:
    """If too little is old enough, nothing is deleted."""
    old, layer = await site.fill(b"o" * SIZE), await pull(site, b"a")
    site.now += KEEP + 1
    await site.note_pulls(*[(HERE, each, site.now) for each in await list_images(site)])

    with pytest.raises(StoreError):
        await site.room.reserve(NEXT, 3 * SIZE)
    assert site.is_here(old)
    site.now += 3
    await site.room.reserve(NEXT, int(1.5 * SIZE))

    assert (site.is_here(old), site.is_here(layer)) == (False, True)


async def list_images(site: Site) -> list[Digest]:
    return [Digest.parse(each) for (each,) in site.database.read("SELECT digest FROM manifests")]


async def test_the_background_process_waits_a_minute_too(site: Site) -> None:
    """More than the limit may be used for a minute, if it was pulled just now."""
    layer = await pull(site, b"a")
    small = replace(site.content._settings.storage, limit=SIZE)
    site.room._storage = small
    await site.room.keep_ready()
    assert site.is_here(layer)

    site.now += KEEP
    await site.room.keep_ready()

    assert not site.is_here(layer)


async def test_the_catalog_comes_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another program has taken the whole disk, images go that were pulled just now."""
    layer = await pull(site, b"a")
    almost = LEAST_FREE + site.catalog.spare.missing - SIZE
    monkeypatch.setattr(FreeSpace, "measure", lambda _: almost)

    await site.room.keep_ready()

    assert not site.is_here(layer)


async def test_an_operator_may_evict_what_was_just_pulled(site: Site) -> None:
    """`cache evict` is an order: it is not for pulls."""
    layer = await pull(site, b"a")
    await site.room.shrink(4 * SIZE)
    assert not site.is_here(layer)


async def test_a_time_in_the_future_protects_nothing(site: Site) -> None:
    """A clock that was wrong once does not keep a blob for ever."""
    site.now += 86_400
    layer = await pull(site, b"a")
    site.now -= 86_400
    await site.room.reserve(NEXT, 3 * SIZE)
    assert not site.is_here(layer)


async def test_a_slow_pull_keeps_its_last_layer(site: Site) -> None:
    """While a client gets one layer after the other, those stay that it has not asked for yet."""
    image = make_image(b"config", b"1" * SIZE, b"2" * SIZE)
    other = make_image(b"other", b"1" * SIZE, b"3" * SIZE)
    digest = await site.pull(HERE, image)
    await site.pull(THERE, other)
    await site.note_pulls((HERE, digest, site.now), (THERE, other.digest, site.now))
    first, last, foreign = (Digest.of(each * SIZE) for each in (b"1", b"2", b"3"))
    site.now += 300

    await site.pulls.record([], [BlobUse(HERE, first, site.now)])
    await site.room.reserve(NEXT, int(2.5 * SIZE))

    assert (site.is_here(last), site.is_here(foreign)) == (True, False)


async def test_an_old_pull_is_not_running(site: Site) -> None:
    """A layer that another image shares says nothing about an image that was pulled long ago."""
    image = make_image(b"config", b"1" * SIZE, b"2" * SIZE)
    digest = await site.pull(HERE, image)
    await site.note_pulls((HERE, digest, site.now))
    site.now += 7200

    await site.pulls.record([], [BlobUse(HERE, Digest.of(b"1" * SIZE), site.now)])
    await site.room.reserve(NEXT, int(3.5 * SIZE))

    assert site.is_here(Digest.of(b"1" * SIZE))
    assert not site.is_here(Digest.of(b"2" * SIZE))
