"""Laws of removing images: pins forbid it, files are deleted first, and crashes undo nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.deletion import Plan
from registry.catalog.pins import Root
from registry.errors import ImagePinned, StoreError
from registry.oci.digest import Digest
from registry.oci.names import Reference, Tag
from tests.unit.content.content_site import (
    HERE,
    THERE,
    Crash,
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
TAG = Tag("1")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        for image in (INDEX, AMD):
            await site.pull(HERE, image, *(["1"] if image is INDEX else []))
        yield site


async def crash(*_: object) -> None:
    raise Crash


async def remove(site: Site, reference: Reference = TAG) -> int:
    removals = site.content.deletion
    return await removals.carry_out((await removals.plan([(HERE, reference)])).removals)


async def list_pointers(site: Site) -> list[Reference]:
    return [reference async for _, reference, _ in site.references.scan()]


async def test_all_of_an_image_goes(site: Site) -> None:
    """The tag files, rows and bytes of a removed image are deleted; the bytes are counted."""
    before = site.measure()
    assert await remove(site) == before
    assert await list_pointers(site) == []
    assert (site.measure(), site.catalog.used()) == (0, 0)
    assert (await site.images.load()).images == ()


async def test_what_others_need_stays(site: Site) -> None:
    """Bytes that other images need stay, and names in other repositories stay too."""
    await site.pull(HERE, ARM, "arm")
    await site.pull(THERE, AMD, "1")
    freed = await remove(site)
    assert freed == len(INDEX.manifest.raw)
    kept = {Digest.of(each) for image in (AMD, ARM) for each in (image.manifest.raw, *image.blobs)}
    assert site.list_files() == {digest.encoded for digest in kept}
    assert await site.references.read(THERE, TAG) is not None
    assert site.catalog.used() == site.measure()


async def test_what_is_read_stays_until_room_is_wanted(site: Site) -> None:
    """A removal does not wait for readers: a blob that is read stays and may be evicted."""
    layer = Digest.of(b"amd")
    file = await site.store.open(layer)
    assert file is not None
    before = site.measure()
    assert await remove(site) == before - len(b"amd")
    file.close()
    assert site.list_files() == {layer.encoded}
    assert await site.list_evictable() == {layer}
    assert site.catalog.used() == site.measure()


@pytest.mark.parametrize("pinned", ["tag", "child", "platform", "signature"])
async def test_the_pinned_is_not_removed(site: Site, pinned: str) -> None:
    """An image of which a pin of the repository keeps a part is refused and unchanged."""
    signature = make_image(b"signature", subject=AMD)
    await site.pull(HERE, signature)
    roots = {
        "tag": [Root(INDEX.digest, True)],
        "child": [Root(AMD.digest, True)],
        "platform": [Root(INDEX.digest, False), Root(AMD.digest, True, "linux/amd64")],
        "signature": [Root(signature.digest, True)],
    }[pinned]
    planned = (await site.content.deletion.plan([(HERE, TAG)])).removals
    await site.put_pin(HERE, Tag("pinned"), roots, 1.0)
    before = (site.list_files(), await list_pointers(site), await site.images.load())

    plan = await site.content.deletion.plan([(HERE, TAG)])
    with pytest.raises(ImagePinned, match="library/a:pinned"):
        await site.content.deletion.carry_out(planned)

    assert plan == Plan([], {(HERE, TAG): f"{HERE}:pinned"})
    assert before == (site.list_files(), await list_pointers(site), await site.images.load())


async def test_the_pinned_is_refused_and_the_rest_planned(site: Site) -> None:
    """Pinned images are refused, each with its pin, and the other images are planned."""
    others = [make_image(name.encode()) for name in ("one", "two")]
    for image, tag in zip(others, ("one", "two"), strict=True):
        await site.pull(HERE, image, tag)
    await site.put_pin(HERE, Tag("kept"), [Root(others[0].digest, True)], 1.0)

    plan = await site.content.deletion.plan([(HERE, Tag("one")), (HERE, Tag("two")), (HERE, TAG)])
    await site.content.deletion.carry_out(plan.removals)

    assert plan.refused == {(HERE, Tag("one")): f"{HERE}:kept"}
    assert [image.reference for image in (await site.images.load()).images] == ["one"]


async def test_unpinned_it_goes(site: Site) -> None:
    """An image that was refused can be removed after it is unpinned."""
    await site.put_pin(HERE, TAG, [Root(INDEX.digest, True)], 1.0)
    assert await remove(site) == 0
    await site.pins.remove([(HERE, TAG)])
    assert await remove(site) > 0
    assert site.measure() == 0


async def test_another_repositorys_pin_forbids_nothing_and_loses_nothing(site: Site) -> None:
    """A pin of another repository does not forbid the removal, and its bytes stay."""
    await site.pull(THERE, AMD, "1")
    await site.put_pin(THERE, TAG, [Root(AMD.digest, True)], 1.0)
    await remove(site)
    assert {Digest.of(each).encoded for each in (AMD.manifest.raw, *AMD.blobs)} <= site.list_files()


async def test_bytes_that_a_pin_elsewhere_keeps_stay(site: Site) -> None:
    """Bytes below a pinned index of another repository stay."""
    await site.pull(THERE, INDEX, "1")
    await site.put_pin(THERE, TAG, [Root(INDEX.digest, True)], 1.0)
    await remove(site)
    assert {Digest.of(each).encoded for each in AMD.blobs} <= site.list_files()


async def test_layers_that_a_pin_elsewhere_keeps_stay_kept(site: Site) -> None:
    """A removal does not cut a pinned index of another repository off from its layers.

    They survive the removal, and an eviction after it, though only this repository had the images
    that lead to them.
    """
    await site.pull(THERE, INDEX, "1")
    await site.put_pin(THERE, TAG, [Root(INDEX.digest, True)], 1.0)
    await remove(site)
    await remove(site, AMD.digest)
    assert await site.list_evictable() == set()


@pytest.mark.parametrize("steps", range(3))
async def test_a_crash_between_pointers_is_gone_on_from(
    site: Site, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """After a crash between the tag files, a second removal deletes the rest."""
    real, left = site.references.remove, iter(range(steps))

    async def remove_some(*name: object) -> None:
        if next(left, None) is None:
            raise Crash
        await real(*name)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(site.content.deletion._tags, "remove", remove_some)
        with pytest.raises(Crash):
            await remove(site)
    assert len(await list_pointers(site)) == 3 - steps

    assert await remove(site) > 0
    assert (site.measure(), site.catalog.used(), await list_pointers(site)) == (0, 0, [])


async def test_a_crash_before_the_catalog_is_gone_on_from(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash before the rows are deleted, a second removal deletes them."""
    with monkeypatch.context() as patch:
        patch.setattr(site.content.deletion._catalog, "apply", crash)
        with pytest.raises(Crash):
            await remove(site)
    assert (await site.images.load()).images != ()
    assert await remove(site) > 0
    assert (site.measure(), (await site.images.load()).images) == (0, ())


async def test_a_crash_before_the_blobs_leaves_them_to_eviction(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blobs that a crash leaves are counted, and may be evicted."""
    with monkeypatch.context() as patch:
        patch.setattr(site.evictor, "delete", crash)
        with pytest.raises(Crash):
            await remove(site)
    assert (await site.images.load()).images == ()
    assert site.catalog.used() == site.measure() > 0
    assert {digest.encoded for digest in await site.list_evictable()} == site.list_files()


async def test_a_refusing_disk_removes_no_row(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a tag file cannot be deleted, no row is: a rebuild would make the row again."""

    async def refuse(*_: object) -> None:
        raise StoreError("tags", "read-only")

    before = (site.list_files(), await site.images.load())
    with monkeypatch.context() as patch:
        patch.setattr(site.content.deletion._tags, "remove", refuse)
        with pytest.raises(StoreError):
            await remove(site)
    assert before == (site.list_files(), await site.images.load())


async def test_the_removed_is_not_recovered(site: Site) -> None:
    """A removed image does not come back when names are adopted from the files."""
    await site.pull(HERE, ARM, "kept")
    await remove(site)
    assert (await site.content.rebuild.adopt_names()).names == 0
    assert [image.reference for image in (await site.images.load()).images] == ["kept"]


async def test_what_was_needed_meanwhile_stays(site: Site) -> None:
    """Bytes that another image needs after the plan are not deleted."""
    removals = site.content.deletion
    planned = (await removals.plan([(HERE, TAG)])).removals
    await site.pull(THERE, ARM, "1")
    await removals.carry_out(planned)
    assert site.is_here(Digest.of(b"shared"))
    assert not site.is_here(Digest.of(b"amd"))


async def test_evicted_blobs_free_nothing(site: Site) -> None:
    """Only bytes of blobs that were still stored count as freed."""
    removals = site.content.deletion
    planned = (await removals.plan([(HERE, TAG)])).removals
    layer = Digest.of(b"amd")
    victims = [blob for blob in await site.catalog.list_coldest() if blob.digest == layer]
    await site.evictor.delete(victims)
    before = site.measure()
    assert await removals.carry_out(planned) == before
