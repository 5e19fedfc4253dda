"""Laws of the bandwidth that processes share through the data folder."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from registry.mirror import bandwidth
from registry.mirror.bandwidth import INTERVAL, Bandwidth, parse_demands
from registry.settings.rates import parse_rate
from registry.store.demand_files import DemandFiles
from registry.tasks import Tasks, in_thread
from registry.upstream.pacing import Link
from registry.upstream.rate_shares import KEPT
from tests.harness.deadline import await_truth

HUB = "docker.io"
KIB = 1024
RATE = 1000.0 * KIB
SOON = 10.0


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    """The tasks of all processes of a test."""
    async with Tasks() as opened:
        yield opened


class Process:
    """One process on a data folder; `now` is its clock."""

    def __init__(self, folder: Path, tasks: Tasks, rate: str, *, is_warming: bool = False) -> None:
        self.now = time.time()
        rates = {HUB: parse_rate(rate), "quay.io": parse_rate("unlimited")}
        self.folder, self.files = folder, DemandFiles(folder)
        self.bandwidth = Bandwidth(
            self.files, tasks, rates, lambda: self.now, is_warming=is_warming
        )

    @property
    def link(self) -> Link:
        return self.bandwidth._links[HUB]

    def read_told(self) -> list[bytes]:
        """Return what another process reads of this one."""
        return [file.read_bytes() for file in self.folder.glob("demand-*")]


async def open_process(
    folder: Path, stack: ExitStack, rate: str = "1000KiB", *, is_warming: bool = False
) -> Process:
    """Open a process with one download, which always wants more."""
    tasks = Tasks()
    await tasks.__aenter__()
    process = Process(folder, tasks, rate, is_warming=is_warming)
    pacer = stack.enter_context(process.bandwidth.open(HUB, lambda: not is_warming))

    async def read() -> None:
        while True:
            pacer.charge(64 * KIB)
            await pacer.wait()
            await asyncio.sleep(0.01)

    tasks.start(read())
    stack.callback(lambda: [task.cancel() for task in tasks._running])
    return process


async def wait_for(condition: Callable[[], bool]) -> None:
    await in_thread(await_truth, condition, SOON)


async def test_processes_share_a_rate(tmp_path: Path) -> None:
    """Two processes each get half, and one that is left gets all again."""
    with ExitStack() as stack:
        first = await open_process(tmp_path, stack)
        await wait_for(lambda: first.link.clients.rate == RATE)
        with ExitStack() as inner:
            second = await open_process(tmp_path, inner)
            await wait_for(lambda: first.link.clients.rate == RATE / 2)
            await wait_for(lambda: second.link.clients.rate == RATE / 2)
        await wait_for(lambda: first.link.clients.rate == RATE)


async def test_the_first_download_has_the_limit_at_once(tmp_path: Path) -> None:
    """It need not learn first what others want: alone, it may use the rate, and no more."""
    with ExitStack() as stack:
        process = await open_process(tmp_path, stack)

        assert process.link.clients.rate == RATE


async def test_warming_stays_behind_the_clients_of_another_process(tmp_path: Path) -> None:
    """A command that warms gets its least part as long as the server downloads for clients."""
    with ExitStack() as stack:
        command = await open_process(tmp_path, stack, is_warming=True)
        await wait_for(lambda: command.link.warming.rate == RATE)
        with ExitStack() as inner:
            server = await open_process(tmp_path, inner)
            await wait_for(lambda: command.link.warming.rate <= KEPT * RATE * 1.001)
            await wait_for(lambda: server.link.clients.rate >= (1 - KEPT) * RATE * 0.999)
        await wait_for(lambda: command.link.warming.rate == RATE)


async def test_the_hour_decides(tmp_path: Path) -> None:
    """A limit of some hours begins and ends while a download runs."""
    with ExitStack() as stack:
        process = await open_process(tmp_path, stack, "08:00-19:00=1000KiB, *=500KiB")
        for hour, rate in ((7, RATE / 2), (8, RATE), (18, RATE), (19, RATE / 2)):
            process.now = time.mktime((2030, 5, 6, hour, 30, 0, 0, 0, -1))
            await wait_for(lambda rate=rate: process.link.clients.rate == rate)


async def test_without_downloads_nothing_is_written(
    tmp_path: Path, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that downloads nothing any more takes its file away, and begins again later."""
    process = Process(tmp_path, tasks, "1000KiB")
    monkeypatch.setattr(bandwidth, "LINGER", 0.1)
    for _ in range(2):
        with process.bandwidth.open(HUB, lambda: True):
            await wait_for(lambda: bool(list(tmp_path.glob("demand-*"))))
        await wait_for(lambda: not list(tmp_path.iterdir()))


@pytest.mark.parametrize(
    ("rate", "is_warming", "reads"),
    [("unlimited", False, False), ("1000KiB", False, True), ("unlimited", True, True)],
)
async def test_without_a_limit_clients_ask_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: str, is_warming: bool, reads: bool
) -> None:
    """Others have to know of downloads for clients; these need to know of others for a limit."""
    done: list[str] = []
    for name in ("exchange", "tell"):
        original = getattr(DemandFiles, name)

        def note(files: DemandFiles, own: bytes, name: str = name, do: Any = original) -> Any:
            done.append(name)
            return do(files, own)

        monkeypatch.setattr(DemandFiles, name, note)
    with ExitStack() as stack:
        process = await open_process(tmp_path, stack, rate, is_warming=is_warming)
        await wait_for(lambda: bool(list(tmp_path.glob("demand-*"))))
        for _ in range(20):  # small files, one after another
            with process.bandwidth.open(HUB, lambda: not is_warming):
                await asyncio.sleep(0.03)

    assert ("exchange" in done) is reads
    if not reads:
        assert done.count("tell") <= 3


async def test_the_end_of_downloads_is_told_once(
    tmp_path: Path, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that waits for its next download says nothing new meanwhile."""
    told: list[bytes] = []
    tell = DemandFiles.tell

    def note(files: DemandFiles, own: bytes) -> list[bytes]:
        told.append(own)
        return tell(files, own)

    monkeypatch.setattr(DemandFiles, "tell", note)
    monkeypatch.setattr(bandwidth, "LINGER", 0.5)
    monkeypatch.setattr(bandwidth, "TELLING", 0.02)
    process = Process(tmp_path, tasks, "unlimited")
    with process.bandwidth.open(HUB, lambda: True):
        await wait_for(lambda: len(told) > 3)
    while_running = len(told)
    await wait_for(lambda: not list(tmp_path.iterdir()))

    assert len(told) <= while_running + 2  # one may have begun before the end


@pytest.mark.parametrize("moment", ["last wait", "withdrawal"])
async def test_a_download_that_begins_in_the_last_moment_is_told(
    moment: str, tmp_path: Path, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process goes on to exchange, if a download begins in its last wait or after it."""
    monkeypatch.setattr(bandwidth, "LINGER", 0.01)
    process = Process(tmp_path, tasks, "1000KiB")
    place, name = {
        "last wait": (process.link, "set_shares"),
        "withdrawal": (process.files, "withdraw"),
    }[moment]
    loop, is_reached, work = asyncio.get_running_loop(), asyncio.Event(), getattr(place, name)

    def tell_and_work(*arguments: object) -> None:
        loop.call_soon_threadsafe(is_reached.set)
        work(*arguments)

    process.bandwidth._used[HUB] = process.link  # the first download sets a share by itself
    monkeypatch.setattr(place, name, tell_and_work)
    with process.bandwidth.open(HUB, lambda: True):
        pass
    await is_reached.wait()
    with process.bandwidth.open(HUB, lambda: True):
        await wait_for(lambda: any(b"docker.io" in told for told in process.read_told()))


async def test_a_dead_disk_stops_no_download(tmp_path: Path, tasks: Tasks) -> None:
    """Where nothing can be written or read, a process uses the whole rate."""
    process = Process(tmp_path / "none", tasks, "1000KiB")
    with process.bandwidth.open(HUB, lambda: True) as pacer:
        pacer.charge(64 * KIB)
        await pacer.wait()
        await wait_for(lambda: process.link.clients.rate == RATE)
        await asyncio.sleep(INTERVAL)
        pacer.charge(64 * KIB)
        await pacer.wait()


@pytest.mark.parametrize(
    "told",
    [b"", b"{", b"[]", b"\xff", b"7", b'{"docker.io": 1}', b'{"docker.io": [[1, "x", true], []]}'],
)
def test_words_of_another_version_are_left_out(told: bytes) -> None:
    """A file that cannot be read says nothing."""
    assert parse_demands(told) == {}
