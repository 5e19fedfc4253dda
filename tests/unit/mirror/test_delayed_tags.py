"""Laws of tags that moved: the former image is served until the new one is old enough."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest

from registry.content.tag_history import TagHistories
from registry.errors import StoreError, TagTooNew
from registry.mirror.cache_status import CacheStatus
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


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[DelaySite]:
    """A mirror that has pulled the first image, before the tag moves to the second."""
    async with open_delay_site(tmp_path, min_age=WEEK) as site:
        site.move(FIRST)
        assert await site.see() == (FIRST, False)
        site.move(SECOND)
        yield site


async def test_the_former_image_is_served_for_a_week(site: DelaySite) -> None:
    """The week begins when the new image is seen here; each answer says what is newer."""
    site.now += 5 * WEEK  # nobody asks

    assert await site.see() == (FIRST, True)
    assert str(SECOND.digest) in (await site.pull()).warning
    assert await site.see(after=WEEK - 1) == (FIRST, True)
    assert await site.see(after=1) == (SECOND, False)


async def test_answers_with_a_warning_are_not_repeated(site: DelaySite) -> None:
    """A repeated answer would tell nothing; without a delay it is repeated."""
    await site.see(after=MINUTE)
    assert not site.parts.manifests.is_fresh(HERE, TAG, FIRST.digest, None)

    await site.see(after=WEEK)
    await site.parts.manifests._pulls.flush()
    assert site.parts.manifests.is_fresh(HERE, TAG, SECOND.digest, None)


async def test_by_digest_everything_is_pulled(site: DelaySite) -> None:
    """Who knows the digest has decided already."""
    await site.see(after=MINUTE)

    served = await site.pull(SECOND.digest)

    assert (served.manifest, served.warning) == (SECOND, "")
    assert await site.see() == (FIRST, True)


async def test_what_was_replaced_is_never_served(site: DelaySite) -> None:
    """An image that its authors replaced within the week may be the bad one."""
    await site.see(after=MINUTE)
    site.move(THIRD)

    assert await site.see(after=WEEK - 100) == (FIRST, True)
    assert await site.see(after=200) == (FIRST, True)
    assert await site.see(after=WEEK - 200) == (THIRD, False)


async def test_what_was_withdrawn_waits_anew(site: DelaySite) -> None:
    """A tag that was moved for a minute cannot be moved to the same image a week later at once."""
    await site.see(after=MINUTE)
    site.move(FIRST)
    assert (await site.see(after=MINUTE))[0] == FIRST
    site.move(SECOND)

    assert await site.see(after=2 * WEEK) == (FIRST, True)
    await site.lose_catalog()
    assert await site.see(after=WEEK - 1) == (FIRST, True)
    assert await site.see(after=1) == (SECOND, False)


async def test_what_comes_back_is_known(site: DelaySite) -> None:
    """An image that was served before is old enough."""
    await site.see(after=MINUTE)
    assert await site.see(after=WEEK) == (SECOND, False)

    site.move(FIRST)
    site.now += MINUTE

    assert (await site.pull()).manifest == FIRST


async def test_the_delay_outlasts_the_process(site: DelaySite) -> None:
    """Another process counts from the same moment, also if the catalog was lost."""
    await site.see(after=MINUTE)
    await site.restart()
    assert await site.see(after=WEEK / 2) == (FIRST, True)
    await site.lose_catalog()
    assert await site.see(after=WEEK / 2 - 1) == (FIRST, True)

    assert await site.see(after=1) == (SECOND, False)


async def test_an_outage_changes_nothing(site: DelaySite) -> None:
    """While the upstream is down, the former image is served; afterwards the week has gone on."""
    await site.see(after=MINUTE)
    site.is_down = True
    assert await site.see(after=MINUTE) == (FIRST, True)
    await site.lose_catalog()
    assert await site.see(after=MINUTE) == (FIRST, True)
    assert await site.see(after=WEEK) == (FIRST, True)  # the second image is not here

    site.is_down = False

    assert await site.see(after=MINUTE) == (SECOND, False)


@pytest.mark.parametrize("offline", [False, True])
async def test_a_stored_image_is_served_without_the_upstream(
    site: DelaySite, *, offline: bool
) -> None:
    """Offline, and while the upstream is down, the new image is served after the week too."""
    await site.see(after=MINUTE)
    await site.pull(SECOND.digest)
    site.is_down = True
    await site.restart(offline=offline)
    assert await site.see(after=WEEK - 1) == (FIRST, True)

    site.now += 1
    served = await site.pull()

    assert served.manifest == SECOND
    if offline:
        served = await site.pull()
        assert (served.manifest, served.origin, served.warning) == (SECOND, CacheStatus.HIT, "")


async def test_a_released_image_is_served_at_once(site: DelaySite) -> None:
    """`images release` ends the delay of one digest, and of no later one."""
    await site.see(after=MINUTE)

    await site.control.release(HERE, TAG, SECOND.digest)
    site.look_for_changes()

    assert await site.see() == (SECOND, False)
    site.move(THIRD)
    assert await site.see(after=MINUTE) == (SECOND, True)


async def test_the_cost_of_a_prefetch_is_that_of_the_former_image(site: DelaySite) -> None:
    """What a prefetch would download is what the tag serves."""
    await site.see(after=MINUTE)

    found = await site.parts.manifests.find_stored(HERE, TAG)
    served = await site.parts.manifests.refresh(HERE, TAG)

    assert found == FIRST
    assert served.manifest == FIRST
    assert str(SECOND.digest) in served.warning


async def test_a_former_image_that_is_gone_is_fetched(site: DelaySite) -> None:
    """If its bytes were deleted here, the upstream sends them by digest."""
    await site.see(after=MINUTE)
    await site.delete(FIRST)

    assert await site.see(after=MINUTE) == (FIRST, True)


async def test_without_a_former_image_the_new_one_is_served(site: DelaySite) -> None:
    """If neither this mirror nor the upstream has the former image, the tag is like a new one."""
    await site.see(after=MINUTE)
    await site.delete(FIRST)
    del site.source.manifests[HERE.name, str(FIRST.digest)]

    assert await site.see(after=MINUTE) == (SECOND, False)


async def test_a_full_disk_fails_no_pull(site: DelaySite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The former image is served, also if it cannot be recorded when the new one was seen."""

    async def refuse(*_: object, **__: object) -> NoReturn:
        raise StoreError("tags", "disk is full")

    monkeypatch.setattr(TagHistories, "see", refuse)

    assert await site.see(after=MINUTE) == (FIRST, True)
    assert await site.see(after=2 * WEEK) == (FIRST, True)


async def test_a_full_disk_brings_no_image_forward(
    site: DelaySite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not if the bytes of the former image were deleted to make space."""

    async def refuse(*_: object, **__: object) -> NoReturn:
        raise StoreError("tags", "disk is full")

    await site.delete(FIRST)
    monkeypatch.setattr(TagHistories, "see", refuse)

    assert await site.see(after=MINUTE) == (FIRST, True)


async def test_exceptions_are_not_delayed(tmp_path: Path) -> None:
    """An image of `min_age_except` follows its upstream."""
    async with open_delay_site(tmp_path, min_age=WEEK, min_age_except=("library/a:1",)) as site:
        site.move(FIRST)
        await site.see()
        site.move(SECOND)

        assert await site.see(after=MINUTE) == (SECOND, False)


async def test_a_new_tag_is_refused_for_a_week(tmp_path: Path) -> None:
    """With `new_tags = "refuse"`, the week of a tag begins when it is asked for first."""
    async with open_delay_site(tmp_path, min_age=WEEK, new_tags="refuse") as site:
        site.move(FIRST)
        with pytest.raises(TagTooNew) as refused:
            await site.pull()
        assert (await site.pull(FIRST.digest)).manifest == FIRST
        await site.lose_catalog()
        site.now += WEEK - 1
        with pytest.raises(TagTooNew):
            await site.pull()

        assert await site.see(after=1) == (FIRST, False)

    text = str(refused.value)
    assert f"entrepot images release docker.io/library/a:1 {FIRST.digest}" in text
    assert 'upstreams."docker.io".min_age = 7d, new_tags = refuse' in text
    assert "from 1970-04-18 00:00 UTC on" in text


async def test_a_refused_tag_is_released(tmp_path: Path) -> None:
    """`images release` lets a tag be served that was never served before."""
    async with open_delay_site(tmp_path, min_age=WEEK, new_tags="refuse") as site:
        site.move(FIRST)
        with pytest.raises(TagTooNew):
            await site.pull()

        await site.control.release(HERE, TAG, FIRST.digest)

        assert await site.see() == (FIRST, False)


async def test_without_a_delay_tags_follow_and_are_remembered(tmp_path: Path) -> None:
    """The history says when each digest was first and last seen, also after a lost catalog."""
    async with open_delay_site(tmp_path) as site:
        began = site.now
        site.move(FIRST)
        await site.see()
        await site.see(after=MINUTE)
        site.move(SECOND)
        assert await site.see(after=MINUTE) == (SECOND, False)
        await site.lose_catalog()

        known = await site.control.read(HERE, TAG)

    seen = [(each.digest, each.first - began, each.last - began) for each in known.history.seen]
    assert [
        (str(FIRST.digest), 0.0, MINUTE),
        (str(SECOND.digest), 2 * MINUTE, 2 * MINUTE),
    ] == seen
    assert known.served == SECOND.digest


async def test_a_tag_that_stays_is_written_once_a_day(tmp_path: Path) -> None:
    """The time when a digest was last seen is exact to a day in the file."""
    async with open_delay_site(tmp_path) as site:
        site.move(FIRST)
        for _ in range(60):
            await site.see(after=3600)
        (path,) = site.folder.tags.rglob("history-*")
        await site.lose_catalog()

        (seen,) = (await site.control.read(HERE, TAG)).history.seen

    assert path.name == "history-1"
    assert site.now - 86_400 < seen.last <= site.now
