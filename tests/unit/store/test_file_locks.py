"""Laws of locks between processes."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry.store.file_locks import POLL, Locks, leads_to, take_lock

HOLDER = """
import sys, pathlib
from registry.store.file_locks import take_lock
print(take_lock(pathlib.Path(sys.argv[1])) is not None, flush=True)
sys.stdin.read()
"""

NAMED_HOLDER = """
import asyncio, sys, pathlib
from registry.store.file_locks import Locks

async def hold():
    async with Locks(pathlib.Path(sys.argv[1])).hold("a question"):
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
    """While somebody holds a lock nobody else gets it, and afterwards somebody does."""
    held = take_lock(tmp_path / "lock")
    assert held is not None
    assert take_lock(tmp_path / "lock") is None

    os.close(held)

    again = take_lock(tmp_path / "lock")
    assert again is not None
    os.close(again)


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """A lock holds against another process, and ends with it, however it ends."""
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
    """A file that lost its name while it was held is no lock for those who come later."""
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
    """A lock that cannot be made is not taken for one that is held."""
    with pytest.raises(FileNotFoundError):
        take_lock(tmp_path / "nowhere" / "lock")


def test_read_only_file_can_be_locked(tmp_path: Path) -> None:
    """A file without a right to write is locked like any other."""
    path = tmp_path / "lock"
    path.touch(0o444)
    held = take_lock(path)
    assert held is not None
    assert take_lock(path) is None
    os.close(held)


async def test_holders_take_turns(tmp_path: Path) -> None:
    """Of many who want one lock, from several processes, one holds it at a time; all get it."""
    inside, most, turns = 0, 0, 0

    async def hold(locks: Locks) -> None:
        nonlocal inside, most, turns
        async with locks.hold("a question"):
            inside += 1
            most = max(most, inside)
            turns += 1
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*[hold(Locks(tmp_path)) for _ in range(20)])

    assert (most, turns) == (1, 20)
    assert list_sizes(tmp_path) == [0], "however many locks there were, they leave one empty file"


async def test_other_locks_do_not_wait(tmp_path: Path) -> None:
    """Locks of different names have nothing to do with each other, whatever they are called."""
    locks = Locks(tmp_path)
    async with asyncio.timeout(10), locks.hold("docker.io/a:b"), locks.hold("../../x" * 100):
        assert list_sizes(tmp_path) == [0]


async def test_named_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """A named lock holds against another process, and ends with it, however it ends."""
    is_inside = False

    async def hold() -> None:
        nonlocal is_inside
        async with Locks(tmp_path).hold("a question"):
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
    """A holder that fails, or is cancelled, lets go."""
    locks = Locks(tmp_path)
    with pytest.raises(ValueError, match="fails"):
        async with locks.hold("x"):
            raise ValueError("fails")
    async with asyncio.timeout(10), locks.hold("x"):
        pass


async def test_refusing_disk_costs_no_answer(tmp_path: Path) -> None:
    """Where lock files cannot be made, the work is done without them."""
    async with asyncio.timeout(10), Locks(tmp_path / "nowhere").hold("x"):
        pass
