"""Laws of visits: the last one of each client and tool, and not too many."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog import client_visits
from registry.catalog.client_visits import ClientVisitCatalog, VisitRow
from registry.catalog.pulls import Pull, PullCatalog
from registry.oci.client_tools import ClientVisit
from registry.oci.names import Tag
from tests.unit.content.content_site import HERE, Site, make_image, open_site

IMAGE = make_image(b"config", b"layer")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as site:
        yield site


def make_row(client: str, seen: float, tool: str = "docker", status: int = 200) -> VisitRow:
    visit = ClientVisit(tool, "ns", f"docker.io/team/app:{seen}", status, "hit")
    return VisitRow(client, visit, seen)


async def test_the_last_visit_of_each_tool_is_kept(site: Site) -> None:
    """Processes record one after the other, and not always in the order of time."""
    catalog = ClientVisitCatalog(site.database)
    former, latest = make_row("10.0.0.1", 1.0), make_row("10.0.0.1", 5.0)
    other = make_row("10.0.0.1", 3.0, "skopeo")
    await catalog.record([former, other])
    await catalog.record([latest])
    await catalog.record([former])

    found = await catalog.list_of(["10.0.0.1", "10.0.0.2"])
    assert {"10.0.0.1": [latest, other], "10.0.0.2": []} == found


async def test_who_got_nothing_is_told_until_a_pull(site: Site) -> None:
    """A client that has ever pulled is not among them, whatever its last answer was."""
    catalog = ClientVisitCatalog(site.database)
    digest = await site.pull(HERE, IMAGE, "1")
    await PullCatalog(site.database).record([Pull(HERE, Tag("1"), digest, "10.0.0.1", 1.0)])
    in_vain = make_row("10.0.0.2", 2.0, status=404)
    await catalog.record([make_row("10.0.0.1", 1.0, status=404), in_vain])
    await catalog.record([make_row("10.0.0.3", 3.0)])

    assert [in_vain] == await catalog.list_in_vain("", 50)
    assert await catalog.list_in_vain("10.0.0.9", 50) == []
    assert [in_vain] == await catalog.list_in_vain(".0.2", 50)


async def test_failures_do_not_push_out_those_who_pull(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of too many visits, those who got nothing go first, then the oldest."""
    monkeypatch.setattr(client_visits, "MOST_VISITS", 3)
    monkeypatch.setattr(client_visits, "_TRIM_AFTER", 1)
    catalog = ClientVisitCatalog(site.database)
    good = [make_row(f"10.0.0.{each}", float(each)) for each in range(1, 5)]
    bad = [make_row(f"10.1.0.{each}", 100.0 + each, status=401) for each in range(10)]
    await catalog.record([*good, *bad])

    names = [each.client for each in (*good, *bad)]
    kept = {name for name, rows in (await catalog.list_of(names)).items() if rows}
    assert {"10.0.0.2", "10.0.0.3", "10.0.0.4"} == kept


async def test_old_visits_are_forgotten_with_old_pulls(site: Site) -> None:
    """What is kept of an address is kept equally long everywhere."""
    catalog = ClientVisitCatalog(site.database)
    await catalog.record([make_row("10.0.0.1", 10.0), make_row("10.0.0.2", 20.0)])
    await PullCatalog(site.database).forget(15.0)

    found = await catalog.list_of(["10.0.0.1", "10.0.0.2"])
    assert found["10.0.0.1"] == []
    assert [make_row("10.0.0.2", 20.0)] == found["10.0.0.2"]
