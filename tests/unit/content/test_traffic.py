"""Laws of what is recorded of each day: right over restarts, kills and several servers."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry.catalog.database import Database
from registry.catalog.days import DayCatalog, DayRow
from registry.content.served import EVICTED, PASSED_THROUGH, STORED, UPSTREAM
from registry.content.server_state import EndpointState, ServerState, read_server_state
from registry.content.traffic import KEPT, Traffic
from registry.errors import StoreError
from registry.metrics.process_metrics import Metrics
from registry.store.file_locks import ExclusiveLocks
from registry.store.files import take_lock
from registry.store.run_folder import note_console, open_run_folder

NOON = time.mktime((2026, 11, 30, 12, 0, 0, 0, 0, -1))
DAY = 86_400.0


@dataclass
class Site:
    """A data folder with a catalog and with servers; `now` is the time."""

    folder: Path
    database: Database
    now: float = NOON

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics"

    @property
    def traffic(self) -> Traffic:
        """What one more process sees."""
        locks = ExclusiveLocks(self.folder / "locks")
        return Traffic(DayCatalog(self.database), self.metrics, locks, lambda: self.now)

    def start_server(self) -> Path:
        """Return the folder of a new server, which this process keeps running."""
        return open_run_folder(self.metrics, keeps_ended=True)

    def make_ended(self, name: str) -> Path:
        """Return the folder of a server that has ended."""
        folder = self.metrics / name
        folder.mkdir(parents=True)
        (folder / "lock").touch()
        return folder


def count(server: Path, times: int = 1) -> None:
    """Let a process of a server answer something, and end."""
    with Metrics.open(server) as metrics:
        for _ in range(times):
            metrics.requests.labels("blobs", "200", "hit").inc()
            metrics.requests.labels("blobs", "206", "hit").inc()
            metrics.sent_bytes.labels("blobs", "hit").inc(100)
            metrics.requests.labels("manifests", "404", "").inc()
            metrics.downloaded_bytes.labels("docker.io").inc(7)
            metrics.upstreams.requests.labels("docker.io", "https://x", "GET", "ok").inc()
            metrics.upstreams.requests.labels("docker.io", "https://y", "GET", "absent").inc()
            metrics.stored_bytes.inc(6)
            metrics.evicted_bytes.inc(5)
            metrics.passed_through.inc()


def expect(day: str, times: int) -> list[DayRow]:
    """Return the rows of a day on which `count` was called so many times."""
    return [
        DayRow(day, *row)
        for row in sorted(
            [
                ("blobs", "hit", 2 * times, 100 * times),
                ("manifests", "", times, 0),
                (UPSTREAM, "docker.io", 2 * times, 7 * times),
                (STORED, "", 0, 6 * times),
                (EVICTED, "", 0, 5 * times),
                (PASSED_THROUGH, "", times, 0),
            ]
        )
    ]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    (tmp_path / "locks").mkdir()
    async with Database(tmp_path / "catalog.db") as database:
        yield Site(tmp_path, database)


async def test_each_minute_goes_to_its_day(site: Site) -> None:
    """What was counted since the last time belongs to the day on which it is recorded."""
    server = site.start_server()
    count(server)
    await site.traffic.record()
    await site.traffic.record()
    site.now += DAY
    count(server, 2)
    await site.traffic.record()

    expected = expect("2026-11-30", 1) + expect("2026-12-01", 2)
    assert await site.traffic.read(30) == expected
    assert await site.traffic.read(1) == expect("2026-12-01", 2)


async def test_a_process_that_was_killed_is_counted_once(site: Site) -> None:
    """Its successor goes on with its counters, also between two records."""
    server = site.start_server()
    count(server)
    await site.traffic.record()
    count(server)
    count(server)
    await site.traffic.record()

    assert await site.traffic.read(1) == expect("2026-11-30", 3)


async def test_a_server_that_has_ended_is_recorded_and_deleted(site: Site) -> None:
    """Nothing of its last minute is lost: it is read until then, and added once after that."""
    ended = site.make_ended("ended")
    count(ended)
    await site.traffic.record()  # by a background process before its end
    assert not ended.exists()
    ended = site.make_ended("killed")
    count(ended, 2)
    server = site.start_server()
    count(server)

    before = await site.traffic.read(1)
    for _ in range(3):
        await site.traffic.record()

    assert sum(each.bytes for each in before if each.kind == "blobs") == 400
    assert await site.traffic.read(1) == expect("2026-11-30", 4)
    assert [each.name for each in site.metrics.iterdir()] == [server.name]
    assert DayCatalog(site.database).list_counted() == [server.name]


async def test_one_that_is_interrupted_adds_nothing_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A background process may die after the rows are written and before the folder is deleted."""
    ended = site.make_ended("ended")
    count(ended)

    def refuse(_: Path) -> None:
        raise OSError("died")

    with monkeypatch.context() as patched:
        patched.setattr("registry.content.traffic.delete_ended", refuse)
        with pytest.raises(OSError, match="died"):
            await site.traffic.record()
    assert ended.exists()
    await site.traffic.record()

    assert not ended.exists()
    assert await site.traffic.read(1) == expect("2026-11-30", 1)


async def test_a_catalog_that_refuses_loses_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counters stay until they could be recorded."""
    ended = site.make_ended("ended")
    count(ended)

    async def refuse(*_: object, **__: object) -> None:
        raise StoreError("catalog.db", "disk full")

    with monkeypatch.context() as patched:
        patched.setattr(DayCatalog, "add", refuse)
        with pytest.raises(StoreError):
            await site.traffic.record()
    await site.traffic.record()

    assert await site.traffic.read(1) == expect("2026-11-30", 1)


async def test_the_last_400_days_are_kept(site: Site) -> None:
    """Days on which nothing was counted are not among them."""
    server = site.start_server()
    for _ in range(KEPT + 1):
        with Metrics.open(server) as metrics:
            metrics.stored_bytes.inc()
        await site.traffic.record()
        site.now += DAY

    days = [each.day for each in await site.traffic.read(2 * KEPT)]
    assert (len(days), days[0], days[-1]) == (KEPT, "2026-12-01", "2028-01-04")


async def test_a_clock_that_was_years_ahead_deletes_nothing(site: Site) -> None:
    """Some machines begin with a wrong time, which is corrected a moment later."""
    server = site.start_server()
    count(server)
    await site.traffic.record()
    site.now += 1000 * DAY
    count(server)
    await site.traffic.record()
    site.now -= 999 * DAY
    await site.traffic.record()

    days = site.traffic.list_days(30)
    assert expect("2026-11-30", 1) == [
        each for each in await site.traffic.read(30) if each.day in days
    ]


async def test_the_last_day_is_today(site: Site) -> None:
    assert site.traffic.list_days(3) == ["2026-11-28", "2026-11-29", "2026-11-30"]


async def test_the_state_of_running_servers_is_read(site: Site) -> None:
    """An endpoint answers if it does so for one server; a server that has ended says nothing."""
    assert read_server_state(site.metrics) == ServerState([], {})
    with Metrics.open(site.make_ended("ended")) as metrics:
        metrics.upstreams.up.labels("ghcr.io", "https://ghcr.io").set(0)
    first, second = site.start_server(), site.start_server()
    for server, is_up, at in ((first, 0, 70.0), (second, 1, 90.0)):
        note_console(server, f"127.0.0.1:{at:.0f}")
        with Metrics.open(server) as metrics:
            metrics.upstreams.up.labels("docker.io", "https://a").set(is_up)
            metrics.upstreams.last_success.labels("docker.io", "https://a").set(at)
            metrics.upstreams.up.labels("docker.io", "https://b").set(0)

    state = read_server_state(site.metrics)

    assert state.is_running
    assert {*state.consoles} == {"127.0.0.1:70", "127.0.0.1:90"}
    assert state.endpoints == {
        ("docker.io", "https://a"): EndpointState(True, 90.0),
        ("docker.io", "https://b"): EndpointState(False, 0.0),
    }


def test_a_running_server_is_not_recorded_as_ended(tmp_path: Path) -> None:
    """Its lock is held, so its folder stays."""
    folder = open_run_folder(tmp_path, keeps_ended=True)
    assert take_lock(folder / "lock") is None
