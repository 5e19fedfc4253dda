"""Laws of tags that were only ever refused: they do not fill the disk, and lose no delay."""

from pathlib import Path

import pytest

from registry.content.refused_tags import DAY, KEPT_FOR, RefusedTags, choose_forgotten
from registry.content.tag_history import TagHistories
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from registry.store.file_locks import ExclusiveLocks
from registry.store.tag_history import TagHistory
from registry.store.tags import TagFiles, TagTarget

HERE = Repository("docker.io", "library/app")
DIGEST = Digest.of(b"image")
START = 1_800_000_000.0


class Site:
    """Files of tags, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        self.tags = TagFiles(folder / "tags")
        (folder / "locks").mkdir()
        self.histories = TagHistories(self.tags, ExclusiveLocks(folder / "locks"))

    async def refuse(self, *names: str) -> None:
        """Ask for tags as clients do; each a second after the former one."""
        for name in names:
            await self.histories.see(HERE, Tag(name), DIGEST, self.now, is_only=True)
            self.now += 1

    async def forget(self, most: int = 100) -> list[str]:
        """Return the tags that are left."""
        await RefusedTags(self.tags, self.histories, lambda: self.now, most).forget()
        return sorted([tag.name async for _, tag in self.tags.scan_histories()])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_they_are_few(site: Site) -> None:
    """However many tags clients ask for, the last ones are kept: their delay goes on."""
    await site.refuse("a", "b", "c", "d")
    site.now += 2 * DAY
    await site.refuse("b")

    assert await site.forget(most=2) == ["b", "d"]


async def test_they_are_forgotten_after_a_year(site: Site) -> None:
    """If nobody asks for a tag any more."""
    await site.refuse("old")
    site.now += KEPT_FOR - DAY
    await site.refuse("new")
    assert await site.forget() == ["new", "old"]

    site.now += DAY + 1

    assert await site.forget() == ["new"]


async def test_a_tag_that_is_served_keeps_its_history(site: Site) -> None:
    """It is deleted with its image, and not before."""
    await site.refuse("served", "refused")
    target = TagTarget(str(DIGEST), "application/json", START)
    await site.tags.write(HERE, Tag("served"), target)
    site.now += 2 * KEPT_FOR

    assert await site.forget(most=0) == ["served"]


def test_a_rollback_is_kept() -> None:
    """An operator has made it."""
    history = TagHistory().see(str(DIGEST), START).roll_back(str(DIGEST), START, has_pin=False)

    assert choose_forgotten([(HERE, Tag("a"), history)], START + 2 * KEPT_FOR, 0) == []
