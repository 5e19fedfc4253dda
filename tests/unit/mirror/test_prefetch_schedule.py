"""Laws of when prefetches run, with a clock of the test."""

import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from registry.catalog.database import Database
from registry.catalog.prefetch_runs import PrefetchCatalog
from registry.errors import StoreError, UpstreamUnreachable
from registry.mirror import prefetch_schedule
from registry.mirror.prefetch_schedule import LOCK, PrefetchSchedule, find_next
from registry.settings.prefetch import PrefetchSettings
from registry.settings.tables import read_table
from registry.store.file_locks import ExclusiveLocks

DAY = 86400.0


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server is in a country with summer time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def make(name: str = "nightly", **values: object) -> PrefetchSettings:
    return read_table(PrefetchSettings, {"name": name, "images": ["redis:7"], **values})


NIGHTLY = make(at="02:30")
OFTEN = make("often", every="6h")


@pytest.mark.parametrize(
    ("last", "now", "following"),
    [
        ("2030-05-06 02:31", "2030-05-06 09:00", "2030-05-07 02:30"),
        ("2030-05-06 01:00", "2030-05-06 02:00", "2030-05-06 02:30"),
        ("2030-05-06 02:30", "2030-05-06 02:30", "2030-05-07 02:30"),
        ("2030-05-03 02:31", "2030-05-06 09:00", "2030-05-04 02:30"),  # missed: due at once
        ("2031-01-01 00:00", "2030-05-06 09:00", "2030-05-07 02:30"),  # the clock was wrong
        ("2030-10-26 12:00", "2030-10-26 12:00", "2030-10-27 02:30"),  # this hour comes twice
    ],
)
def test_a_time_of_the_day(last: str, now: str, following: str) -> None:
    """It is due at the first such time after the last run, in the local time of the server."""
    assert find_next(NIGHTLY, at(last), at(now)) == at(following)


def test_the_hour_that_summer_time_leaves_out() -> None:
    """On the day without 02:30, it runs an hour around it, and the next day at 02:30 again."""
    due = find_next(NIGHTLY, at("2030-03-30 12:00"), at("2030-03-30 12:00"))

    assert abs(due - at("2030-03-31 03:00")) <= 3600
    assert find_next(NIGHTLY, due + 60, due + 60) == at("2030-04-01 02:30")


def test_every_few_hours() -> None:
    """It is due at once the first time, and then so long after the end of the last run."""
    assert find_next(OFTEN, None, 1000.0) == 1000.0
    assert find_next(OFTEN, 1000.0, 2000.0) == 1000.0 + 6 * 3600
    assert find_next(OFTEN, 9e9, 2000.0) == 2000.0 + 6 * 3600


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_a_day_never_passes_without_a_run(last: float, now: float) -> None:
    """The next time is after the last run, and at most a day and the hour of a change later."""
    due = find_next(NIGHTLY, last, now)

    assert min(last, now) < due <= min(last, now) + DAY + 3600


class Server:
    """A server on a data folder, whose runs are noted and take a minute."""

    def __init__(self, database: Database, folder: Path, *prefetches: PrefetchSettings) -> None:
        self.now = at("2030-05-06 09:00")
        self.runs: list[tuple[str, float]] = []
        self.failure: Exception | None = None
        self.catalog = PrefetchCatalog(database)
        self.locks = ExclusiveLocks(folder)
        self.schedule = self.restart(*prefetches)

    def restart(self, *prefetches: PrefetchSettings) -> PrefetchSchedule:
        self.schedule = PrefetchSchedule(
            prefetches, self.catalog, self.locks, self._run, lambda: self.now
        )
        return self.schedule

    async def _run(self, prefetch: PrefetchSettings) -> dict[str, object]:
        self.runs.append((prefetch.name, self.now))
        self.now += 60
        if self.failure:
            raise self.failure
        return {"images": 1}

    async def run_until(self, text: str) -> None:
        """Let time pass, as the schedule asks for it."""
        while self.now < at(text):
            await self.schedule.plan()
            following = await self.schedule.run_due()
            await self.schedule.plan()
            self.now = max(self.now, min(following, at(text)))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "catalog.db") as opened:
        yield opened


async def test_each_runs_at_its_times(database: Database, tmp_path: Path) -> None:
    """Two prefetches over two days, each at its own times."""
    server = Server(database, tmp_path, NIGHTLY, OFTEN)

    await server.run_until("2030-05-08 03:00")

    assert [moment for name, moment in server.runs if name == "nightly"] == [
        at("2030-05-07 02:30"),
        at("2030-05-08 02:30"),
    ]
    often = [moment for name, moment in server.runs if name == "often"]
    assert often[:2] == [at("2030-05-06 09:00"), at("2030-05-06 15:01")]
    assert len(often) == 7


async def test_a_missed_run_is_made_up_for_once(database: Database, tmp_path: Path) -> None:
    """After three nights without a server it runs once at the start, and then as planned."""
    server = Server(database, tmp_path, NIGHTLY)
    await server.run_until("2030-05-06 20:00")
    assert server.runs == []
    server.now = at("2030-05-09 08:00")
    server.restart(NIGHTLY)

    await server.run_until("2030-05-10 02:00")

    assert server.runs == [("nightly", at("2030-05-09 08:00"))]


async def test_an_error_does_not_end_the_schedule(database: Database, tmp_path: Path) -> None:
    """A run that fails is logged, and the next one comes at its time."""
    server = Server(database, tmp_path, NIGHTLY)
    for failure in (UpstreamUnreachable("https://a", "is down"), OSError("disk"), None):
        server.failure = failure
        with structlog.testing.capture_logs() as logs:
            await server.run_until(f"2030-05-0{7 + len(server.runs)} 03:00")
        assert [each["event"] for each in logs if each["event"] != "prefetch planned"] == [
            "prefetch failed" if failure else "prefetch done"
        ]

    assert len(server.runs) == 3


async def test_what_a_run_did_is_recorded(database: Database, tmp_path: Path) -> None:
    """The last one counts, also if it failed; one that was only planned has no result."""
    server = Server(database, tmp_path, NIGHTLY)
    await server.run_until("2030-05-06 20:00")
    assert server.catalog.find_result("nightly") == {}
    await server.run_until("2030-05-07 03:00")
    assert server.catalog.find_result("nightly") == {"seconds": 60.0, "images": 1}
    server.failure = OSError("disk")
    await server.run_until("2030-05-08 03:00")
    assert server.catalog.find_result("nightly") == {"why": "disk"}
    assert server.catalog.find_result("other") == {}


async def test_the_log_says_when_it_runs_next(database: Database, tmp_path: Path) -> None:
    """At the start, after a reload and after each run, once for each time."""
    server = Server(database, tmp_path, NIGHTLY, OFTEN)
    with structlog.testing.capture_logs() as logs:
        await server.run_until("2030-05-06 12:00")
        server.restart(make(at="03:45"))
        await server.run_until("2030-05-06 13:00")

    planned = [(each["name"], each["next"]) for each in logs if each["event"] == "prefetch planned"]
    assert planned == [
        ("nightly", "2030-05-07T02:30:00+02:00"),
        ("often", "2030-05-06T15:01:00+02:00"),
        ("nightly", "2030-05-07T03:45:00+02:00"),
    ]


async def test_one_server_of_a_data_folder_runs_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another server prefetches, this one waits; what that one has done is not done again."""
    monkeypatch.setattr(prefetch_schedule, "LOCK_WAIT", 0.0)
    server = Server(database, tmp_path, OFTEN)
    async with ExclusiveLocks(tmp_path).hold(LOCK):
        await server.schedule.run_due()
        assert server.runs == []
        await server.catalog.record("often", server.now)
    await server.schedule.run_due()

    assert server.runs == []


async def test_a_catalog_that_refuses_is_asked_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the catalog refuses for a while, the schedule goes on afterwards."""
    server = Server(database, tmp_path, OFTEN)
    find, refusals = server.catalog.find, [StoreError("catalog", "is busy")]

    def refuse_once(name: str) -> float | None:
        if refusals:
            raise refusals.pop()
        return find(name)

    class Enough(Exception):
        pass

    async def sleep(_: float) -> None:
        if server.runs:
            raise Enough

    monkeypatch.setattr(server.catalog, "find", refuse_once)
    monkeypatch.setattr(prefetch_schedule.asyncio, "sleep", sleep)
    with pytest.raises(Enough):
        await server.schedule.keep_running()

    assert len(server.runs) == 1
