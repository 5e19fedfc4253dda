"""Laws of what takes long to add up: one process does it at a time, and pages do not wait."""

import asyncio

import pytest

from registry.catalog.image_pages import NamedRow
from registry.catalog.usage import UsageTotals
from registry.errors import StoreError
from registry.reports.console import totals
from registry.reports.console.totals import StoreTotals


class Catalog:
    """A catalog that adds up when the test lets it."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.asked = 0
        self.is_broken = False

    async def break_down(self) -> UsageTotals:
        self.asked += 1
        await self.may_end.wait()
        if self.is_broken:
            raise StoreError("catalog.db", "the disk refused")
        return UsageTotals(10, self.asked, 5, 0, 0)

    async def list_sizes(self) -> dict[str, int]:
        return {"sha256:a": 3, "sha256:b": 7}

    async def list_names(self, _: object) -> list[NamedRow]:
        rows = [
            ("a", "sha256:a", "sha256:a", "1"),
            ("b", "1", "sha256:b", ""),
            ("b", "2", "sha256:b", ""),
        ]
        return [
            NamedRow(*row, 0.0, is_rolled_back=False, pulled=0.0, is_pinned=False, former=former)
            for *row, former in rows
        ]


def open_totals(catalog: Catalog) -> StoreTotals:
    return StoreTotals(catalog.break_down, catalog.list_sizes, catalog.list_names)


async def test_a_page_does_not_wait_for_what_takes_long() -> None:
    """It shows that nothing is known, then what was added up, and one look serves all pages."""
    catalog = Catalog()
    kept = open_totals(catalog)
    assert await kept.take() is None
    assert await kept.take() is None
    catalog.may_end.set()
    found = await kept.wait()

    assert catalog.asked == 1
    assert found == await kept.take()
    largest = [(each.name, each.size, each.former) for each in found.largest]
    assert largest == [("b:1", 7, ""), ("a@sha256:a", 3, "1")]


async def test_what_is_old_is_shown_until_there_is_something_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for it a second time."""
    monkeypatch.setattr(totals, "FRESH", 0.0)
    monkeypatch.setattr(totals, "LONGEST_SHARE", 1e9)
    catalog = Catalog()
    catalog.may_end.set()
    kept = open_totals(catalog)
    first = await kept.wait()
    catalog.may_end.clear()
    again = await kept.take()
    catalog.may_end.set()

    assert again is first
    async with asyncio.timeout(5):
        while kept.latest is first:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)
    assert kept.latest is not None
    assert kept.latest.use.count == 2


async def test_who_waits_hears_of_the_failure() -> None:
    """A page that needs it says why there is none; another one shows that nothing is known."""
    catalog = Catalog()
    catalog.is_broken = True
    catalog.may_end.set()
    kept = open_totals(catalog)

    assert await kept.take() is None
    with pytest.raises(StoreError, match="refused"):
        await kept.wait()
