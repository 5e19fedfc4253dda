"""Laws of the metric of stored bytes: each blob counts when it is stored, and only then."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.oci.digest import Digest
from tests.unit.content.content_site import Site, open_site

CONTENT = b"a" * 1000


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


def count_stored(site: Site) -> float | None:
    return site.metrics.registry.get_sample_value("entrepot_stored_bytes_total")


async def test_a_blob_that_is_marked_as_used_is_not_stored_again(site: Site) -> None:
    """An import that finds a blob stored does not count its bytes once more."""
    digest = await site.fill(CONTENT)
    for _ in range(2):
        await site.content.content.mark_used(digest)
    assert count_stored(site) == len(CONTENT)


async def test_a_blob_that_a_crash_left_without_a_row_counts_once(site: Site) -> None:
    """A blob whose process died before it was recorded counts when it is recorded."""
    digest = Digest.of(CONTENT)
    await site.room.reserve(digest, len(CONTENT))
    site.adopt(CONTENT)
    for _ in range(2):
        await site.room.finish_interrupted()
        await site.content.content.mark_used(digest)
    assert site.catalog.find_size(digest) == len(CONTENT)
    assert count_stored(site) == len(CONTENT)
