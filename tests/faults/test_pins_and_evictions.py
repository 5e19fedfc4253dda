"""Pins beside deletions that were planned before: what a pin confirmed is never deleted."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from registry.catalog.pins import Root
from registry.errors import ImagePinned, StoreError
from registry.oci.digest import Digest
from registry.oci.names import Tag
from tests.unit.content.content_site import HERE, Image, Site, make_image, open_site

IMAGE = make_image(b"config", b"layer")
TAG = Tag("1")
SLOWED = 0.002  # seconds that every deletion takes longer, with the lock held
FULL = pytest.param(3000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[tuple[Site, Site]]:
    """Two processes on one data folder: one that deletes, and one that pins."""
    async with AsyncExitStack() as stack:
        yield (
            await stack.enter_async_context(open_site(tmp_path)),
            await stack.enter_async_context(open_site(tmp_path)),
        )


class Gate:
    """Lets a method of the catalog return only when it is opened, as in a long eviction."""

    def __init__(self) -> None:
        self.is_reached, self.is_open = asyncio.Event(), asyncio.Event()

    def guard(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method, whose callers wait behind the gate with what it returned."""

        async def call(*given: Any, **named: Any) -> Any:
            result = await method(*given, **named)
            self.is_reached.set()
            await self.is_open.wait()
            return result

        return call


def digests_of(image: Image) -> list[Digest]:
    return [image.digest, *map(Digest.of, image.blobs)]


async def test_a_confirmed_pin_survives_an_eviction_that_was_planned_before(
    sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An eviction that has planned to delete an image deletes nothing of it once it is pinned.

    The eviction holds its lock until the pin has been confirmed, however long that takes.
    """
    evicting, pinning = sites
    await evicting.pull(HERE, IMAGE, TAG.name)
    gate = Gate()
    held = gate.guard(evicting.evictor._catalog.list_coldest)
    monkeypatch.setattr(evicting.evictor._catalog, "list_coldest", held)
    eviction = asyncio.create_task(evicting.room.shrink(1 << 40))
    async with asyncio.timeout(60):
        await gate.is_reached.wait()
        await pinning.pin(HERE, TAG)  # best-effort locks stopped waiting after 5 s
        gate.is_open.set()
        freed = await eviction
    assert all(pinning.is_here(digest) for digest in digests_of(IMAGE))
    assert freed == []
    assert pinning.catalog.used() == pinning.measure()


async def test_a_pin_of_what_was_deleted_meanwhile_is_not_confirmed(
    sites: tuple[Site, Site],
) -> None:
    """When blobs go between the plan of a pin and the pin, it says so, and names the cure."""
    evicting, pinning = sites
    await evicting.pull(HERE, IMAGE, TAG.name)
    images = pinning.content.images
    plan = await images.plan_pins([(HERE, TAG)], [])
    await evicting.room.shrink(1 << 40)
    with pytest.raises(StoreError, match=r"3 of the blobs were deleted.*images refresh"):
        await images.pin(plan)
    await pinning.pull(HERE, IMAGE, TAG.name)
    await evicting.room.shrink(1 << 40)
    assert all(pinning.is_here(digest) for digest in digests_of(IMAGE))


async def test_a_removal_and_a_pin_exclude_each_other(
    sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pin that comes while an image is being removed waits for the end, and is not confirmed."""
    removing, pinning = sites
    await removing.pull(HERE, IMAGE, TAG.name)
    removals = removing.content.deletion
    planned = (await removals.plan([(HERE, TAG)])).removals
    plan = await pinning.content.images.plan_pins([(HERE, TAG)], [])
    gate = Gate()
    held = gate.guard(removing.references.remove)
    monkeypatch.setattr(removals._tags, "remove", held)
    removal = asyncio.create_task(removals.carry_out(planned))
    async with asyncio.timeout(60):
        await gate.is_reached.wait()
        pin = asyncio.create_task(pinning.content.images.pin(plan))
        await asyncio.sleep(0.1)
        assert not pin.done()
        gate.is_open.set()
        await removal
        with pytest.raises(StoreError, match="deleted before the pin was recorded"):
            await pin


async def test_rows_of_the_pinned_are_not_removed(sites: tuple[Site, Site]) -> None:
    """The transaction that forgets an image looks at pins itself, whatever was looked at before."""
    site, _ = sites
    await site.pull(HERE, IMAGE, TAG.name)
    (removal,) = (await site.removal.plan([(HERE, TAG)])).removals
    await site.put_pin(HERE, Tag("kept"), [Root(IMAGE.digest, True)], 1.0)
    before = await site.images.load()
    with pytest.raises(ImagePinned, match="kept"):
        await site.removal.apply(removal)
    assert before == await site.images.load()


@pytest.mark.parametrize("blobs", [90, FULL])
async def test_pins_beside_long_evictions_lose_nothing(
    sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch, blobs: int
) -> None:
    """Of images that are pinned while everything is evicted, slowly, no confirmed one loses any."""
    evicting, pinning = sites
    images = [make_image(b"config %d" % each, b"layer %d" % each) for each in range(blobs // 3)]
    for number, image in enumerate(images):
        await evicting.pull(HERE, image, f"t{number}")
    spared: set[Digest] = set()
    is_over = False

    async def evict() -> None:
        nonlocal is_over
        await evicting.room.shrink(1 << 40)
        is_over = True

    mark_deleting = evicting.evictor._catalog.mark_deleting

    async def mark_slowly(*planned: Any) -> int | None:
        await asyncio.sleep(SLOWED)
        return await mark_deleting(*planned)

    monkeypatch.setattr(evicting.evictor._catalog, "mark_deleting", mark_slowly)
    order = list(range(len(images)))
    random.Random(blobs).shuffle(order)
    eviction = asyncio.create_task(evict())
    for number in order:
        if is_over:
            break
        plan = await pinning.content.images.plan_pins([(HERE, Tag(f"t{number}"))], [])
        with suppress(StoreError):  # some of it went in between: then nothing is confirmed
            await pinning.content.images.pin(plan)
            spared |= set(map(Digest.parse, plan.stored))
    await eviction
    assert spared, "some pins were confirmed in time"
    assert {each for each in spared if not pinning.is_here(each)} == set()
    assert pinning.catalog.used() == pinning.measure()
    assert not pinning.catalog.list_deleting()
