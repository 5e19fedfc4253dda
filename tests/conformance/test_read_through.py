"""The suite pushes to an upstream and reads through its mirror: every kind of content."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.conformance import suite
from tests.conformance.split_proxy import SplitProxy

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("conformance")]

# Content appears and tags move while the suite runs, so nothing may be remembered of a tag.
FORGETFUL = {"tags": {"fresh_for": "0s", "missing_for": "0s"}}

# Ranges within, to the end of, from the end of, and beyond a blob.
RANGES = {
    f"sha256 blobs/range requests/range {span}"
    for span in ("500-1499", "500-", "-500", "2000-5000")
}
# Content of every kind, each read by tag and by digest.
KINDS = ("image", "large-manifest", "index", "nested-index", "empty-index", "artifact", "no-layers")
PULLS = {
    f"{kind}/{way}/manifest-{by}"
    for kind in KINDS
    for way, by in (
        ("pull", "by-tag"),
        ("pull", "by-digest"),
        ("head", "head-by-tag"),
        ("head", "head-by-digest"),
    )
}


async def test_the_mirror_breaks_nothing_that_its_upstream_does(
    registry: str, make_mirror, tmp_path: Path, say
) -> None:
    """Whatever fails through the mirror also fails without it; and the pulls did run."""
    async with SplitProxy(reads=registry, writes=registry) as without:
        known = await asyncio.to_thread(suite.run_pushing, without.url, tmp_path)
    say(f"upstream alone: {known.counts()}")
    mirror = make_mirror(FORGETFUL, upstreams={"docker.io": registry})
    async with SplitProxy(reads=mirror.url, writes=registry) as doors:
        report = await asyncio.to_thread(suite.run_pushing, doors.url, tmp_path)
    say(f"read through the mirror: {report.counts()}")
    excused = known.names("fail")
    assert [one for one in report.failures() if one.name not in excused] == []
    missed = (PULLS | RANGES) - set(report.names("pass"))
    assert not missed, f"did not pass: {sorted(missed)}"
