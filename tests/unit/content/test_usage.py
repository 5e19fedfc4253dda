"""Laws of the usage report: all bytes that count for the limit are in it, by kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.audits import Pass
from registry.content.usage import UsageReport
from registry.oci.digest import Digest
from registry.oci.names import Tag
from tests.unit.content.content_site import HERE, LIMIT, Site, make_image, open_site

IMAGE = make_image(b"config", b"layer")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def take(site: Site) -> UsageReport:
    return await site.content.usage.take()


async def test_an_empty_store_is_empty(site: Site) -> None:
    """An empty store uses nothing, and has had no audit."""
    report = await take(site)
    assert (report.used, report.images, report.use.count) == (0, 0, 0)
    assert report.audits == {"command": Pass(), "background": Pass()}
    assert (report.limit, report.reserve) == (LIMIT, 0)
    assert report.free > 0


async def test_everything_is_told_by_kind(site: Site) -> None:
    """Complete, downloading, quarantined and pinned bytes; the first three are the sum."""
    await site.pull(HERE, IMAGE, "1", "2")
    await site.fill(b"other")
    await site.evictor.quarantine(await site.fill(b"damaged"), "damaged")
    await site.room.reserve(Digest.of(b"downloading"), 70)
    await site.pin(HERE, Tag("1"), [])

    report = await take(site)

    pinned = len(IMAGE.manifest.raw) + len(b"configlayer")
    assert report.use.pinned == pinned
    assert (report.use.blobs, report.use.count) == (pinned + 5, 4)
    assert (report.use.reserved, report.use.quarantined) == (70, 7)
    assert report.used == site.catalog.used() == pinned + 5 + 70 + 7
    assert report.images == 2


async def test_what_is_going_counts_until_it_is_gone(site: Site) -> None:
    """Bytes of an interrupted deletion count for the limit."""
    await site.catalog.mark_deleting(await site.fill(b"doomed"))
    assert (await take(site)).used == site.catalog.used() == 6


async def test_audits_are_told(site: Site) -> None:
    """The report has the last pass of each auditor."""
    await site.audits.record("command", Pass("", 1.0, 2.0))
    await site.audits.record("steward", Pass("sha256:a", 3.0))
    report = await take(site)
    assert report.audits == {"command": Pass("", 1.0, 2.0), "background": Pass("sha256:a", 3.0)}
