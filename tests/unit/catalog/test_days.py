"""Laws of the rows of days: each amount is added once, whatever is interrupted or read late."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.catalog.database import Database
from registry.catalog.days import DayCatalog, DayRow, find_new

BLOBS, MANIFESTS = ("blobs", "hit"), ("manifests", "miss")
OLDEST = "2026-01-01"


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[DayCatalog]:
    async with Database(tmp_path / "catalog.db") as database:
        yield DayCatalog(database)


async def read(catalog: DayCatalog, day: str = "2026-12-31") -> list[DayRow]:
    return await catalog.read(day, {}, since=OLDEST)


async def test_only_the_difference_is_added(catalog: DayCatalog) -> None:
    """Totals are those since the start of a server; two servers are added up."""
    await catalog.add("2026-02-01", {"a": {BLOBS: (1, 10)}, "b": {BLOBS: (5, 50)}}, kept=9)
    await catalog.add("2026-02-01", {"a": {BLOBS: (1, 10)}}, kept=9)
    later = {BLOBS: (3, 35), MANIFESTS: (2, 0)}
    await catalog.add("2026-02-02", {"a": later}, kept=9)

    assert await read(catalog) == [
        DayRow("2026-02-01", *BLOBS, 6, 60),
        DayRow("2026-02-02", *BLOBS, 2, 25),
        DayRow("2026-02-02", *MANIFESTS, 2, 0),
    ]


async def test_what_was_read_before_takes_nothing_back(catalog: DayCatalog) -> None:
    """Totals that were read earlier and come later change nothing, and nothing is added twice."""
    for totals in ((3, 30), (2, 40), (3, 40), (4, 40)):
        await catalog.add("2026-02-01", {"a": {BLOBS: totals}}, kept=9)

    assert await read(catalog) == [DayRow("2026-02-01", *BLOBS, 4, 40)]


async def test_what_is_not_added_yet_is_read_too(catalog: DayCatalog) -> None:
    """A reader gets what the next `add` would make of it, and changes nothing."""
    await catalog.add("2026-02-01", {"a": {BLOBS: (1, 10)}}, kept=9)
    now = {"a": {BLOBS: (4, 70)}}

    found = await catalog.read("2026-02-02", now, since=OLDEST)

    assert found == [DayRow("2026-02-01", *BLOBS, 1, 10), DayRow("2026-02-02", *BLOBS, 3, 60)]
    assert await read(catalog) == [DayRow("2026-02-01", *BLOBS, 1, 10)]


async def test_old_days_are_deleted(catalog: DayCatalog) -> None:
    for day in ("2026-01-31", "2026-02-01", "2026-02-02"):
        await catalog.add(day, {day: {BLOBS: (1, 1)}}, kept=2)

    assert [each.day for each in await read(catalog)] == ["2026-02-01", "2026-02-02"]


async def test_servers_are_forgotten(catalog: DayCatalog) -> None:
    """The rows of the days stay."""
    await catalog.add("2026-02-01", {"a": {BLOBS: (1, 1)}, "b": {BLOBS: (1, 1)}}, kept=9)
    await catalog.forget(["a"])

    assert catalog.list_counted() == ["b"]
    assert await read(catalog) == [DayRow("2026-02-01", *BLOBS, 2, 2)]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8))
def test_differences_add_up_to_the_largest_totals(seen: list[tuple[int, int]]) -> None:
    """In whatever order totals are seen, what is added is the largest of each."""
    requests = size = 0
    for totals in seen:
        for more in find_new({BLOBS: totals}, {BLOBS: (requests, size)}).values():
            requests, size = requests + more[0], size + more[1]

    assert requests == max((each for each, _ in seen), default=0)
    assert size == max((each for _, each in seen), default=0)
