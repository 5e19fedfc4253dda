"""Laws of deletions beside pulls: what a client pulls after the plan stays."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.content.expiry import Expiry
from registry.errors import ImageInUse
from registry.oci.digest import Digest
from registry.oci.names import Tag
from tests.unit.content.content_site import HERE, THERE, Site, make_image, make_index, open_site

AMD, ARM = make_image(b"amd-config", b"shared", b"amd"), make_image(b"arm-config", b"shared")
INDEX = make_index(AMD, ARM)
OTHER = make_image(b"other-config", b"other")
IMAGES = {"index": INDEX, "amd": AMD, "arm": ARM}
WEEK = 604_800.0


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Images that nobody has pulled for two weeks."""
    async with open_site(tmp_path) as site:
        for image in (INDEX, AMD, ARM):
            await site.pull(HERE, image, *(["1"] if image is INDEX else []))
        await site.pull(HERE, OTHER, "2")
        site.now += 2 * WEEK
        yield site


def is_whole(site: Site, *names: str) -> bool:
    """Whether all blobs of these images are on disk and recorded."""
    images = [IMAGES[name] for name in names]
    digests = [image.digest for image in images]
    digests += [Digest.of(blob) for image in images for blob in image.blobs]
    return all(site.is_here(each) and site.catalog.find_size(each) for each in digests)


@pytest.mark.parametrize(
    ("pulled", "kept"),
    [("index", ("index", "amd", "arm")), ("amd", ("amd",)), ("arm", ("arm",))],
)
async def test_an_eviction_passes_over_what_is_pulled_after_its_plan(
    site: Site, pulled: str, kept: tuple[str, ...]
) -> None:
    """What a pulled image contains stays, and the rest of the plan is deleted."""
    planned = await site.evictor.plan(1 << 40)
    await site.note_pulls((HERE, IMAGES[pulled].digest, site.now))

    freed = await site.evictor.delete(planned)

    assert is_whole(site, *kept)
    assert not site.is_here(OTHER.digest)
    assert freed == sum(each.size for each in planned) - site.catalog.used()
    assert site.catalog.used() == site.measure()


@pytest.mark.parametrize("pulled", IMAGES)
async def test_an_image_that_is_pulled_in_the_last_moment_does_not_expire(
    site: Site, monkeypatch: pytest.MonkeyPatch, pulled: str
) -> None:
    """The transaction that removes it sees the pull; names, files and rows stay as they were."""
    plan = site.removal.plan

    async def plan_and_pull(images: object) -> object:
        planned = await plan(images)  # type: ignore[arg-type]
        await site.note_pulls((HERE, IMAGES[pulled].digest, site.now))
        return planned

    names = {reference async for _, reference, _ in site.references.scan()}
    monkeypatch.setattr(site.content.deletion._catalog, "plan", plan_and_pull)

    await Expiry(site.uses, site.content.deletion, {"*": WEEK}, site.clock).expire()

    assert is_whole(site, "index", "amd", "arm")
    assert {image.reference for image in (await site.images.load()).images} == {"1"}
    kept = {reference async for _, reference, _ in site.references.scan()}
    assert names - kept == {Tag("2"), OTHER.digest}


async def test_a_pull_within_the_period_refuses_the_removal(site: Site) -> None:
    """The error names the image, and nothing has been deleted."""
    (removal,) = (await site.removal.plan([(HERE, OTHER.digest)])).removals
    await site.note_pulls((HERE, OTHER.digest, site.now - WEEK + 1))
    before = site.list_files()
    with pytest.raises(ImageInUse, match=str(OTHER.digest)):
        await site.content.deletion.expire(removal, site.now - WEEK, site.now)
    assert before == site.list_files()
    assert await site.content.deletion.expire(removal, site.now, site.now) > 0


@pytest.mark.parametrize("where", [HERE, THERE])
async def test_blobs_that_are_stored_again_after_a_removal_stay(
    site: Site, monkeypatch: pytest.MonkeyPatch, where: object
) -> None:
    """An image that is pulled anew while its blobs are being deleted keeps those it finds."""
    (removal,) = (await site.removal.plan([(HERE, OTHER.digest)])).removals
    list_unneeded = site.content.deletion._catalog.list_unneeded

    async def list_and_pull(removals: object) -> object:
        unneeded = await list_unneeded(removals)  # type: ignore[arg-type]
        site.now += 1
        await site.pull(where, OTHER, "again")  # type: ignore[arg-type]
        await site.note_pulls((where, OTHER.digest, site.now))  # type: ignore[arg-type]
        return unneeded

    monkeypatch.setattr(site.content.deletion._catalog, "list_unneeded", list_and_pull)
    assert await site.content.deletion.expire(removal, site.now, site.now) == 0
    assert site.is_here(OTHER.digest)
    assert site.is_here(Digest.of(b"other"))
    names = [reference async for _, reference, _ in site.references.scan()]
    assert Tag("again") in names
