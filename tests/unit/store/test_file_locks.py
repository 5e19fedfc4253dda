"""Laws of locks between processes."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry.errors import StoreError
from registry.store.file_locks import POLL, BestEffortLocks, ExclusiveLocks
from registry.store.files import leads_to, take_lock

HOLDER = """
import sys, pathlib
from registry.store.files import take_lock
print(take_lock(pathlib.Path(sys.argv[1])) is not None, flush=True)
sys.stdin.read()
"""

NAMED_HOLDER = """
import asyncio, sys, pathlib
from registry.store.file_locks import ExclusiveLocks

async def hold():
    async with ExclusiveLocks(pathlib.Path(sys.argv[1])).hold("a question"):
        print(True, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(hold())
"""


def list_sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.iterdir()]


def start_holder(path: Path, program: str = HOLDER) -> "subprocess.Popen[str]":
    """Start another process that takes the lock and keeps it until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_lock_is_held_once(tmp_path: Path) -> None:
    """While a lock is held nobody else gets it; after its release another holder can."""
    held = take_lock(tmp_path / "lock")
    assert held is not None
    assert take_lock(tmp_path / "lock") is None

    os.close(held)

    again = take_lock(tmp_path / "lock")
    assert again is not None
    os.close(again)


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """A lock holds against other processes, and is freed when its process dies."""
    path = tmp_path / "lock"
    with start_holder(path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "True"
        assert take_lock(path) is None

        holder.kill()
        holder.wait(10)

    held = take_lock(path)
    assert held is not None
    os.close(held)


def test_unlinked_lock_counts_no_more(tmp_path: Path) -> None:
    """If the locked file is unlinked, another holder can lock a new file of that name."""
    path = tmp_path / "lock"
    held = take_lock(path)
    assert held is not None
    path.unlink()

    later = take_lock(path)

    assert later is not None
    assert not leads_to(path, held)
    assert leads_to(path, later)
    os.close(held)
    os.close(later)


def test_lock_in_no_folder_is_an_error(tmp_path: Path) -> None:
    """A lock that cannot be made raises an error; it does not count as held."""
    with pytest.raises(FileNotFoundError):
        take_lock(tmp_path / "nowhere" / "lock")


def test_read_only_file_can_be_locked(tmp_path: Path) -> None:
    """A file that cannot be written can be locked too."""
    path = tmp_path / "lock"
    path.touch(0o444)
    held = take_lock(path)
    assert held is not None
    assert take_lock(path) is None
    os.close(held)


async def test_holders_take_turns(tmp_path: Path) -> None:
    """Many holders in several processes get one lock, one at a time, and all get it."""
    inside, most, turns = 0, 0, 0

    async def hold(locks: ExclusiveLocks) -> None:
        nonlocal inside, most, turns
        async with locks.hold("a question"):
            inside += 1
            most = max(most, inside)
            turns += 1
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*[hold(ExclusiveLocks(tmp_path)) for _ in range(20)])

    assert (most, turns) == (1, 20)
    assert list_sizes(tmp_path) == [0], "however many locks there were, they leave one empty file"


async def test_other_locks_do_not_wait(tmp_path: Path) -> None:
    """Locks with different names are independent."""
    locks = ExclusiveLocks(tmp_path)
    async with asyncio.timeout(10), locks.hold("docker.io/a:b"), locks.hold("../../x" * 100):
        assert list_sizes(tmp_path) == [0]


async def test_named_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """A named lock holds against other processes, and is freed when its process dies."""
    is_inside = False

    async def hold() -> None:
        nonlocal is_inside
        async with ExclusiveLocks(tmp_path).hold("a question"):
            is_inside = True

    with start_holder(tmp_path, NAMED_HOLDER) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "True"
        waiting = asyncio.create_task(hold())
        await asyncio.sleep(10 * POLL)
        assert not is_inside

        holder.kill()
        holder.wait(10)
        async with asyncio.timeout(10):
            await waiting
    assert is_inside


async def test_lock_is_freed_by_a_failure(tmp_path: Path) -> None:
    """If the body fails or is cancelled, the lock is freed."""
    locks = ExclusiveLocks(tmp_path)
    with pytest.raises(ValueError, match="fails"):
        async with locks.hold("x"):
            raise ValueError("fails")
    async with asyncio.timeout(10), locks.hold("x"):
        pass


async def test_refusing_disk_costs_no_answer(tmp_path: Path) -> None:
    """If lock files cannot be made, the body of a best-effort lock runs without it."""
    async with asyncio.timeout(10), BestEffortLocks(tmp_path / "nowhere").try_hold("x"):
        pass


async def test_best_effort_runs_without_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a best-effort lock is held for too long, the body runs without it."""
    monkeypatch.setattr("registry.store.file_locks.BEST_EFFORT_WAIT", 2 * POLL)
    locks = BestEffortLocks(tmp_path)
    async with asyncio.timeout(10), locks.try_hold("x"), locks.try_hold("x"):
        pass


async def test_best_effort_waits_for_the_lock(tmp_path: Path) -> None:
    """If a best-effort lock is held for a short time, the body waits for it."""
    locks, turns = BestEffortLocks(tmp_path), []

    async def ask() -> None:
        async with locks.try_hold("x"):
            turns.append("ask")

    async with asyncio.timeout(10), locks.try_hold("x"):
        asking = asyncio.create_task(ask())
        await asyncio.sleep(5 * POLL)
        turns.append("leave")
    await asking
    assert turns == ["leave", "ask"]


async def test_exclusive_never_runs_without_the_lock(tmp_path: Path) -> None:
    """When another holder keeps the lock until the deadline, the body does not run.

    The error names the lock, its file and the time, and says what to do.
    """
    locks = ExclusiveLocks(tmp_path)
    has_run = False
    async with asyncio.timeout(10), locks.hold("x"):
        with pytest.raises(
            StoreError, match=r"lock 'x' for more than 0\.05 .*try again"
        ) as refusal:
            async with ExclusiveLocks(tmp_path).hold("x", 0.05):
                has_run = True
    assert not has_run
    assert list_sizes(tmp_path) == [0]
    assert str(refusal.value).startswith(f"{tmp_path}/")


async def test_exclusive_waits_longer_than_best_effort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exclusive lock is waited for until its own deadline."""
    monkeypatch.setattr("registry.store.file_locks.BEST_EFFORT_WAIT", POLL)
    locks, is_inside = ExclusiveLocks(tmp_path), False

    async def hold() -> None:
        nonlocal is_inside
        async with locks.hold("x"):
            is_inside = True

    async with asyncio.timeout(10):
        async with locks.hold("x"):
            waiting = asyncio.create_task(hold())
            await asyncio.sleep(10 * POLL)
            assert not is_inside
        await waiting
    assert is_inside


async def test_exclusive_needs_a_disk_that_has_locks(tmp_path: Path) -> None:
    """If lock files cannot be made, the body does not run; the error says what to do."""
    has_run = False
    with pytest.raises(StoreError, match="make this file writable"):
        async with ExclusiveLocks(tmp_path / "nowhere").hold("x"):
            has_run = True
    assert not has_run


async def test_waiting_leaves_nothing_open(tmp_path: Path) -> None:
    """A wait that ends without the lock closes its descriptor."""
    locks = ExclusiveLocks(tmp_path)
    async with locks.hold("x"):
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        with pytest.raises(StoreError, match="more than 0 seconds"):
            async with locks.hold("x", 0.0):
                pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5 * POLL), locks.hold("x"):
                pass
        assert before == len(os.listdir("/proc/self/fd"))  # noqa: PTH208
