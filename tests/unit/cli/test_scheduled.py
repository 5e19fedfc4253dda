"""Laws of `images warm --scheduled`: when each prefetch runs, and what its last run did."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from registry.catalog.database import Database
from registry.catalog.prefetch_runs import PrefetchCatalog
from registry.cli.images.scheduled import draw_scheduled, list_scheduled
from registry.cli.main import build_cli
from registry.cli.session import Session
from registry.cli.tables import Table, lay_out
from registry.reports.prefetches import PrefetchOutcome, ScheduledPrefetch
from registry.settings.model import Settings
from registry.settings.prefetch import PrefetchSettings

NOW = 1_900_000_000.0
NIGHTLY = PrefetchSettings(name="nightly", at="02:30", history=86400.0)
OFTEN = PrefetchSettings(name="often", every=21600.0, images=("redis:7",))


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The terminal is two hours east."""
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def test_each_prefetch_has_its_next_run_and_its_last_result(tmp_path: Path) -> None:
    """One that was only seen, and did not run yet, has no last run."""
    async with Database(tmp_path / "catalog.db") as database:
        catalog = PrefetchCatalog(database)
        await catalog.record("nightly", NOW)
        await catalog.record("often", NOW - 60, {"images": 3, "fetched": 5, "new": "fact"})
        content: Any = SimpleNamespace(prefetch_runs=catalog)
        settings = Settings(prefetch=(NIGHTLY, OFTEN))
        nightly, often = list_scheduled(Session(settings, content), NOW)
        asleep = replace(settings, offline=True)
        offline = list_scheduled(Session(asleep, content), NOW)
    assert (nightly.ended, nightly.last, nightly.at) == (None, None, "02:30")
    assert nightly.next is not None
    assert NOW < nightly.next <= NOW + 86400
    assert (often.next, often.ended) == (NOW - 60 + 6 * 3600, NOW - 60)
    assert often.last == PrefetchOutcome(images=3, fetched=5)
    assert [each.next for each in offline] == [None, None]


def test_what_a_person_reads() -> None:
    """Local times, sizes, and why a run failed; it fits into 80 columns."""
    done = PrefetchOutcome(12, 11, 1, 0, 27361997, 11.8)
    ended = time.time() - 7200
    scheduled = [
        ScheduledPrefetch("nightly", "02:30", 0.0, 4e9, ended, done),
        ScheduledPrefetch("often", "", 21600.0, 1.0, ended, PrefetchOutcome(why="disk")),
        ScheduledPrefetch("new", "03:00", 0.0, None, None, None),
    ]
    (table,) = draw_scheduled(scheduled)
    assert isinstance(table, Table)
    lines = [" ".join(line.split()) for line in lay_out(table, 200)[1]]
    outcome = "12 images: 11 complete, 1 failed; 26.1 MiB in 11.8 s"
    assert lines == [
        f"nightly at 02:30 2096-10-02 09:06 2 h ago {outcome}",
        "often every 6h now 2 h ago failed: disk",
        "new at 03:00 offline never -",
    ]
    assert max(map(len, lay_out(table, 80)[1])) <= 80


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "no prefetch is scheduled; write a [[prefetch]] table"),
        ("[[prefetch]]\nname = 'nightly'\nat = '02:30'\nhistory = '30d'\n", "nightly  at 02:30"),
    ],
)
def test_the_command_needs_no_data_folder(tmp_path: Path, text: str, found: str) -> None:
    """It changes nothing, and `--json` has the same facts."""
    config = tmp_path / "entrepot.toml"
    config.write_text(text)
    words = ["images", "warm", "--scheduled", "--config", str(config)]
    shown = CliRunner().invoke(build_cli(), words)
    assert shown.exit_code == 0, shown.output
    assert found in shown.stdout
    listed = json.loads(CliRunner().invoke(build_cli(), [*words, "--json"]).stdout)
    assert [(each["name"], each["last"]) for each in listed] == [("nightly", None)] * bool(text)
    assert [each.name for each in tmp_path.iterdir()] == ["entrepot.toml"]
