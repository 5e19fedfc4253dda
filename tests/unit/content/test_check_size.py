"""Laws of the recorded size of a stored blob: a file of another size is damaged."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.content.content_site import Site, open_site

SIZE = 1000
CONTENT = b"a" * SIZE


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def refuse(*_: object) -> None:
    raise OSError("the disk refuses")


async def test_a_damaged_blob_that_could_not_be_moved_is_never_right(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that the disk refused to move into quarantine is moved when it is read again.

    Its row is in the quarantine by then, so its recorded size is not known any more.
    """
    digest = await site.fill(CONTENT)
    site.spoil(digest, CONTENT[:-1])
    monkeypatch.setattr(site.handles.store, "quarantine", refuse)
    for _ in range(2):
        with pytest.raises(OSError, match="the disk refuses"):
            await site.room.check_size(digest, SIZE - 1)
    monkeypatch.undo()

    assert not await site.room.check_size(digest, SIZE - 1)

    assert not site.is_here(digest)
    assert site.catalog.list_quarantined() == [(digest, SIZE - 1)]
    assert site.catalog.used() == SIZE - 1
