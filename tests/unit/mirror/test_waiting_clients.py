"""Laws of what workers tell of the clients that wait for downloads."""

import asyncio
import os
import time
from pathlib import Path

from registry.mirror.waiting_clients import WaitingClients, add_up
from registry.store.demand_files import FRESH, READERS, DemandFiles
from registry.tasks import Tasks
from tests.harness.deadline import await_truth

PART = f"sha256:{'a' * 64}"


def read(folder: Path) -> dict[str, int]:
    return add_up(DemandFiles(folder, READERS).read())


async def test_the_clients_of_all_workers_are_added_up(tmp_path: Path) -> None:
    """They are told while somebody waits, and withdrawn when nobody does, or the worker ends."""
    waiting = {PART: 2}
    async with Tasks() as tasks:
        first = WaitingClients(DemandFiles(tmp_path, READERS), lambda: waiting)
        tasks.keep(first.keep_telling())
        second = WaitingClients(DemandFiles(tmp_path, READERS), lambda: {PART: 3})
        telling = tasks.start(second.keep_telling())
        await asyncio.to_thread(await_truth, lambda: read(tmp_path) == {PART: 5})
        telling.cancel()
        await asyncio.wait([telling])
        assert read(tmp_path) == {PART: 2}
        waiting[PART] = 0
        await asyncio.to_thread(await_truth, lambda: not list(tmp_path.iterdir()))


def test_a_killed_worker_is_forgotten(tmp_path: Path) -> None:
    """What it has written counts for two seconds; demands of downloads are no readers."""
    files = DemandFiles(tmp_path, READERS)
    files.tell(b'{"x": 1}')
    DemandFiles(tmp_path).tell(b'{"docker.io": []}')
    assert read(tmp_path) == {"x": 1}

    old = time.time() - FRESH - 1
    for path in tmp_path.iterdir():
        os.utime(path, (old, old))

    assert read(tmp_path) == {}


def test_what_another_version_wrote_is_not_counted() -> None:
    assert add_up([b"", b"[]", b"\xff", b'{"a": "b"}', b'{"a": -1}', b'{"b": 2}']) == {
        "a": 0,
        "b": 2,
    }
