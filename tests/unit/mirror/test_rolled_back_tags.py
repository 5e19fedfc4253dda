"""Laws of a rollback: the tag serves what an operator has chosen, until the operator ends it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.errors import DigestNotSeen, ImageUnknown, NotRolledBack
from registry.oci.digest import Digest
from registry.oci.names import Tag, format_image
from tests.unit.mirror.delay_site import (
    FIRST,
    HERE,
    SECOND,
    TAG,
    THIRD,
    WEEK,
    DelaySite,
    open_delay_site,
)

MINUTE = 61.0  # seconds; longer than a tag is fresh
FIRST_PIN = format_image(HERE, FIRST.digest)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[DelaySite]:
    """A mirror that has pulled the first image, and then the second."""
    async with open_delay_site(tmp_path) as site:
        site.move(FIRST)
        await site.see()
        site.move(SECOND)
        assert await site.see(after=MINUTE) == (SECOND, False)
        yield site


async def test_the_chosen_image_is_served(site: DelaySite) -> None:
    """At once, whatever the upstream says and for however long; each answer tells it."""
    await site.roll_back(FIRST)

    assert await site.see() == (FIRST, True)
    assert "an operator of this mirror has rolled this tag back" in (await site.pull()).warning
    site.move(THIRD)
    assert await site.see(after=100 * WEEK) == (FIRST, True)


async def test_the_upstream_is_not_needed(site: DelaySite) -> None:
    """It works while the upstream is down, offline, and after a lost catalog."""
    site.is_down = True
    await site.roll_back(FIRST)
    assert await site.see(after=MINUTE) == (FIRST, True)
    await site.restart(offline=True)
    assert await site.see(after=MINUTE) == (FIRST, True)
    await site.lose_catalog()

    assert await site.see(after=MINUTE) == (FIRST, True)
    assert "rolled this tag back" in (await site.pull()).warning


async def test_its_end_follows_the_upstream(site: DelaySite) -> None:
    """Afterwards the upstream is asked, and its image is served."""
    await site.roll_back(FIRST)
    site.move(THIRD)
    await site.see(after=MINUTE)

    await site.end_rollback()

    assert await site.see() == (THIRD, False)


async def test_its_end_needs_no_upstream(site: DelaySite) -> None:
    """Offline the tag leads again to what the upstream said last, if that is stored."""
    await site.roll_back(FIRST)
    site.is_down = True
    await site.restart(offline=True)
    assert await site.see() == (FIRST, True)

    await site.end_rollback()
    await site.pull()

    assert await site.see() == (SECOND, False)


async def test_its_end_does_not_end_a_delay(tmp_path: Path) -> None:
    """What the upstream says by then is as new as any other image."""
    async with open_delay_site(tmp_path, min_age=WEEK) as site:
        site.move(FIRST)
        await site.see()
        await site.roll_back(FIRST)
        site.move(SECOND)
        await site.end_rollback()

        assert await site.see(after=MINUTE) == (FIRST, True)
        assert await site.see(after=WEEK) == (SECOND, False)


async def test_a_refresh_does_not_end_it(site: DelaySite) -> None:
    """`images refresh` asks the upstream, and remembers what it says."""
    await site.roll_back(FIRST)
    site.move(THIRD)

    served = await site.parts.manifests.refresh(HERE, TAG)

    assert (served.manifest, "rolled" in served.warning) == (FIRST, True)
    assert await site.see() == (FIRST, True)
    known = await site.control.read(HERE, TAG)
    assert known.history.latest is not None
    assert known.history.latest.digest == THIRD.digest


@pytest.mark.parametrize("bundle", ["", "bundle-1"])
async def test_nobody_else_moves_the_tag(site: DelaySite, bundle: str) -> None:
    """Neither a pull that has begun before, nor the import of a bundle."""
    await site.roll_back(FIRST)

    store = site.parts.content.manifests
    await store.put(HERE, THIRD, None, site.now)
    await store.put_names(HERE, THIRD, TAG, site.now, bundle=bundle)
    site.look_for_changes()

    assert await site.see() == (FIRST, True)
    assert (await site.pull(THIRD.digest)).manifest == THIRD
    await site.restart()
    assert await site.see() == (FIRST, True)


async def test_a_rollback_to_what_is_served_holds_it(site: DelaySite) -> None:
    """The tag then stays where it is, also if a pull confirms it at the same moment."""
    generation = site.parts.manifests._cache.generation
    await site.roll_back(SECOND)
    await site.parts.manifests._cache.confirm(HERE, TAG, SECOND, site.now, generation)
    site.look_for_changes()
    site.move(THIRD)

    assert await site.see(after=WEEK) == (SECOND, True)


async def test_the_image_is_pinned_meanwhile(site: DelaySite) -> None:
    """Nothing deletes what a rollback needs; the pin ends with it, or with another rollback."""
    await site.roll_back(FIRST)
    assert await site.list_pinned() == [FIRST_PIN]
    await site.roll_back(FIRST)
    assert await site.list_pinned() == [FIRST_PIN]
    await site.roll_back(SECOND)
    assert await site.list_pinned() == [format_image(HERE, SECOND.digest)]

    await site.end_rollback()

    assert await site.list_pinned() == []


async def test_a_pin_of_an_operator_stays(site: DelaySite) -> None:
    """A pin that was there before is not the rollback's."""
    images = site.parts.content.images
    await images.pin(await images.plan_pins([(HERE, FIRST.digest)], []))
    await site.roll_back(FIRST)

    await site.end_rollback()

    assert await site.list_pinned() == [FIRST_PIN]


async def test_what_is_not_known_is_refused(site: DelaySite) -> None:
    """An unknown tag, an image that is not stored, an end without a rollback, a foreign digest."""
    control = site.control
    with pytest.raises(ImageUnknown):
        await control.roll_back(HERE, Tag("other"), FIRST.digest)
    with pytest.raises(ImageUnknown):
        await control.roll_back(HERE, TAG, THIRD.digest)
    with pytest.raises(NotRolledBack):
        await control.end_rollback(HERE, TAG)
    with pytest.raises(DigestNotSeen):
        await control.release(HERE, TAG, Digest.of(b"never"))
    assert await site.list_pinned() == []
    assert await site.see() == (SECOND, False)


async def test_its_end_is_no_step_back(site: DelaySite) -> None:
    """What the upstream says all the time is no earlier image, although clients had it before."""
    await site.parts.manifests._pulls.flush()
    await site.roll_back(FIRST)

    await site.end_rollback()

    assert await site.see() == (SECOND, False)
