"""Laws of the rows of endpoints: by upstream and URL, changed in one transaction."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.catalog.endpoints import KEPT, EndpointCatalog, EndpointChange, EndpointRow

HUB = ("docker.io", "https://hub.example")
MIRROR = ("docker.io", "https://hub.example/mirror")
ELSEWHERE = ("ghcr.io", "https://hub.example")
NEW: EndpointRow = (None, None, None, 0.0, 0, 0, 0.0, 0.0, 0.0)
NOW = 1e9


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "catalog.sqlite") as opened:
        yield opened


def receive(right: int, measured: float = NOW) -> EndpointChange:
    def change(row: EndpointRow | None) -> EndpointRow:
        former = row or NEW
        return (*former[:4], former[4] + right, former[5], measured, *former[7:])

    return change


async def test_rows_are_by_upstream_and_url(database: Database) -> None:
    catalog = EndpointCatalog(database)
    await catalog.change({HUB: receive(1), MIRROR: receive(2), ELSEWHERE: receive(3)}, NOW)

    assert {url: row[4] for url, row in catalog.read("docker.io").items()} == {
        HUB[1]: 1,
        MIRROR[1]: 2,
    }
    assert catalog.read("ghcr.io")[HUB[1]] == (None, None, None, 0.0, 3, 0, NOW, 0.0, 0.0)
    assert catalog.read("quay.io") == {}


async def test_no_change_of_another_process_is_lost(database: Database, tmp_path: Path) -> None:
    async with Database(tmp_path / "catalog.sqlite") as other:
        catalogs = [EndpointCatalog(database), EndpointCatalog(other)]
        await asyncio.gather(*(each.change({HUB: receive(1)}, NOW) for each in catalogs * 10))

    assert EndpointCatalog(database).read("docker.io")[HUB[1]][4] == 20


async def test_endpoints_that_are_not_used_are_forgotten(database: Database) -> None:
    catalog = EndpointCatalog(database)
    await catalog.change({HUB: receive(1), MIRROR: receive(1, NOW + 1.0)}, NOW)
    await catalog.change({ELSEWHERE: receive(1)}, NOW + KEPT + 0.5)

    assert [*catalog.read("docker.io")] == [MIRROR[1]]
