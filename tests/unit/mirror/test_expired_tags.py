"""Laws of delayed tags whose image nobody has pulled for so long that it was deleted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.mirror.delay_site import (
    FIRST,
    HERE,
    SECOND,
    TAG,
    WEEK,
    DelaySite,
    open_delay_site,
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[DelaySite]:
    """A mirror that has pulled the first image, before the tag moves to the second."""
    async with open_delay_site(tmp_path, min_age=WEEK) as site:
        site.move(FIRST)
        assert await site.see() == (FIRST, False)
        site.move(SECOND)
        yield site


async def test_a_tag_is_known_after_its_image_has_expired(site: DelaySite) -> None:
    """Nobody has pulled it for long, and it has moved meanwhile: the new image waits as usual."""
    await site.expire(after=5 * WEEK)

    assert await site.see() == (FIRST, True)
    await site.expire(after=5 * WEEK)
    assert await site.see() == (SECOND, False)


async def test_an_expired_image_that_is_nowhere_is_replaced(site: DelaySite) -> None:
    """There is nothing else to serve: the tag counts as one that was never seen."""
    await site.expire(after=5 * WEEK)
    del site.source.manifests[HERE.name, str(FIRST.digest)]

    assert await site.see() == (SECOND, False)


async def test_an_expired_image_that_has_not_moved_is_served(site: DelaySite) -> None:
    """It has waited already, however short the time was until it expired."""
    site.move(FIRST)
    await site.expire(after=WEEK / 2, keep_for=WEEK / 4)

    assert await site.see() == (FIRST, False)


async def test_without_a_delay_nothing_is_kept_of_a_tag(tmp_path: Path) -> None:
    """Its history would only take room."""
    async with open_delay_site(tmp_path) as site:
        site.move(FIRST)
        await site.see()
        await site.expire(after=5 * WEEK)

        known = await site.parts.content.manifests.histories.read(HERE, TAG)

    assert known.history.seen == ()
