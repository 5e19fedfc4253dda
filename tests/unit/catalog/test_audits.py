"""Laws of the rows of audits: each auditor has its own last pass."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.audits import Pass
from registry.catalog.database import Database
from tests.unit.content.content_site import Site, open_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


async def test_there_was_no_pass_at_first(site: Site) -> None:
    """An auditor that never began a pass has an empty pass."""
    assert site.audits.find("steward") == Pass("", 0.0, 0.0)


async def test_the_last_note_counts(site: Site) -> None:
    """A new record of a pass replaces the record of the same auditor only."""
    await site.audits.record("steward", Pass("sha256:a", 1.0))
    await site.audits.record("command", Pass("", 2.0, 3.0))
    await site.audits.record("steward", Pass("sha256:b", 1.0))
    assert site.audits.find("steward") == Pass("sha256:b", 1.0, 0.0)
    assert site.audits.find("command") == Pass("", 2.0, 3.0)


async def test_notes_outlive_the_process(site: Site) -> None:
    """Another process reads the pass that one process recorded."""
    await site.audits.record("steward", Pass("sha256:a", 1.5))
    async with Database(site.folder.catalog) as database:
        assert database.read("SELECT * FROM audits") == [("steward", "sha256:a", 1.5, 0.0)]
