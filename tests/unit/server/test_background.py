"""Laws of `/readyz`: which trouble it names."""

import os
import socket
import threading
from pathlib import Path

import pytest

from registry.server import background, heartbeats
from registry.server.background import find_trouble
from registry.server.heartbeats import Heartbeats
from registry.server.shared import SharedResources
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder
from registry.tasks import Tasks


def share(root: Path, workers: int) -> SharedResources:
    unused = socket.socket()
    unused.close()
    folder = DataFolder(root)
    return SharedResources(Settings(), folder, unused, unused, Heartbeats(workers), -1, root)


async def test_every_worker_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker that is stuck is trouble too, as its clients wait; one that starts is none."""
    shared = share(tmp_path, 4)
    moment = 100.0
    monkeypatch.setattr(heartbeats.time, "monotonic", lambda: moment)
    async with Tasks() as checks:
        assert await find_trouble(shared, checks) == "no pull worker answers"
        for number in (0, 1, 2):
            shared.heartbeats.beat(number)
        assert await find_trouble(shared, checks) == ""
        moment += heartbeats.DEAD
        shared.heartbeats.beat(1)
        expected = "worker 0 does not answer; worker 2 does not answer"
        assert await find_trouble(shared, checks) == expected


async def test_a_folder_that_cannot_be_written_is_trouble(tmp_path: Path) -> None:
    shared = share(tmp_path / "absent", 1)
    async with Tasks() as checks:
        assert (await find_trouble(shared, checks)).endswith("absent cannot be written")


async def test_the_problem_of_the_service_is_trouble(tmp_path: Path) -> None:
    """A server of a bundle is not ready while the medium cannot be read."""
    shared = share(tmp_path, 1)
    shared.heartbeats.beat(0)
    async with Tasks() as checks:
        assert await find_trouble(shared, checks, lambda: "no medium") == "no medium"
        assert await find_trouble(shared, checks, lambda: "") == ""


async def test_a_disk_that_does_not_answer_is_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe itself is answered, and many probes take one thread."""
    shared = share(tmp_path, 1)
    shared.heartbeats.beat(0)
    answers, asked = threading.Event(), []

    def hang(*_: object) -> bool:
        asked.append(1)
        return answers.wait(10)

    monkeypatch.setattr(background, "DISK_WAIT", 0.02)
    monkeypatch.setattr(os, "access", hang)
    async with Tasks() as checks:
        for _ in range(3):
            assert (await find_trouble(shared, checks)).endswith(" does not answer")
        answers.set()
    assert len(asked) == 1
