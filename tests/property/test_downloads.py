"""Laws of downloads under everything that can happen to them at once."""

import asyncio
import math
import os
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from registry.catalog.blob_access import BlobAccessCatalog
from registry.catalog.database import Database
from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from tests.fakes.source import MemorySource, Tap
from tests.harness.sizes import list_sizes
from tests.property.download_steps import ACTIONS, SIZES
from tests.property.faulty_disk import FaultyDisk
from tests.property.machines import run_machine
from tests.property.mirror_site import REPOSITORY, Process, Reader
from tests.property.virtual_loop import InlineExecutor, VirtualLoop

# Where a sync costs nothing: power never fails here, only processes do.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class DownloadsMachine(RuleBasedStateMachine):
    """One blob, an upstream that may do anything, and processes that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(structlog.testing.capture_logs())
        self.root = Path(tempfile.mkdtemp(prefix="downloads-", dir=FAST))
        self.stack.callback(shutil.rmtree, self.root)
        self.loop = VirtualLoop()
        self.stack.callback(self.loop.close)
        self.disk = FaultyDisk()
        self.loop.set_default_executor(InlineExecutor(self.disk.execute))
        self.folder = open_folder(self.root / "data")
        self.processes: list[Process] = []
        self.dead: list[Process] = []
        self.mood = "honest"
        self.ever_wrong = self.ever_refused = False
        self.lost = 0

    @initialize(
        size=st.sampled_from(SIZES),
        tells_size=st.sampled_from([True, True, False]),
        processes=st.sampled_from([1, 2]),
    )
    def begin(self, size: int, tells_size: bool, processes: int) -> None:
        self.content = (bytes(range(251)) * (size // 251 + 1))[:size]
        self.digest = Digest.of(self.content)
        self.tells_size = tells_size
        self.disk.open()
        self.stack.callback(self.disk.close)
        self.run(self.open_catalog())
        if tells_size:
            access = BlobAccessCatalog(self.database)
            self.run(access.grant(REPOSITORY, self.digest, size, math.inf))
        for _ in range(processes):
            self.start_process()

    async def open_catalog(self) -> None:
        self.database = Database(self.folder.catalog)
        # Its own thread would run beside the virtual time.
        self.database._writing.shutdown()
        self.database._writing = InlineExecutor(self.disk.execute)
        await self.database.__aenter__()
        self.stack.callback(lambda: self.run(self.database.__aexit__()))

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(work)

    def settle(self) -> None:
        """Let everything happen that can happen; then bury who died of it."""
        self.run(asyncio.sleep(0.3))
        for process in [each for each in self.processes if each.victim.is_dead]:
            self.mark_deleted(process)

    def mark_deleted(self, process: Process) -> None:
        process.die()
        self.processes.remove(process)
        self.dead.append(process)
        self.note_loss()
        self.disk.kill(process.victim)
        self.settle()

    def note_loss(self) -> None:
        """What has been sent, and is not on the disk, may have to be sent again."""
        self.lost = self.given - self.written

    @property
    def given(self) -> int:
        return sum(each.tap.given for each in self.processes + self.dead)

    @property
    def written(self) -> int:
        found = [*self.folder.ingests.glob("*.part"), *self.folder.blobs.glob("*/*/*")]
        return sum(path.stat().st_size for path in found)

    def living(self, number: int) -> Process:
        return self.processes[number % len(self.processes)]

    @rule(action=ACTIONS)
    def act(self, action: tuple[Any, ...]) -> None:
        name, *values = action
        if not self.processes:
            self.start_process()
        getattr(self, name)(*values)

    # What clients do; after each step `count` sixteenths of the blob may come.

    def join(self, number: int, span: tuple[int, int], most: int | None, count: int) -> None:
        size = len(self.content)
        low, high = sorted(end * size // 16 for end in span)
        if low == high or not self.tells_size:
            low, high = 0, size
        self.living(number).join(Reader(low, high, most), self.digest)
        self.settle()
        self.give(count)

    def leave(self, number: int) -> None:
        process = self.living(number)
        if process.readers:
            process.leave(process.readers[number % len(process.readers)])
            self.settle()

    def let_read(self, times: int) -> None:
        for process in self.processes:
            for reader in process.readers:
                for _ in range(times):
                    reader.let_read()
        self.settle()

    # What the upstream does.

    def give(self, count: int) -> None:
        most = 1 << 30 if count == 16 else -(-count * len(self.content) // 16)
        for process in self.processes:
            process.tap.give(most)
        self.settle()

    def cut(self) -> None:
        for process in self.processes:
            process.tap.allowance = 0
            process.tap.cut()
        self.settle()
        self.note_loss()

    def behave(self, mood: str, count: int) -> None:
        self.cut()
        self.mood = mood
        self.apply_mood()
        self.give(count)

    def apply_mood(self) -> None:
        self.ever_wrong |= self.mood in ("wrong bytes", "ending early")
        for process in self.processes:
            process.tap.is_lying = self.mood == "wrong bytes"
            process.tap.is_down = self.mood == "down"
            process.tap.ends_early = self.mood == "ending early"
            process.tap.stir()

    # What the machine does.

    def start_process(self) -> None:
        if len(self.processes) == 2:
            return
        tap = Tap()
        tap.allowance, tap.tells_size = 0, self.tells_size
        blobs = {(REPOSITORY.name, str(self.digest)): self.content}
        source = MemorySource(tap, blobs=blobs)
        self.processes.append(Process(self.folder, self.database, source, self.disk, self.loop))
        self.apply_mood()

    def kill(self, number: int, operations: int, count: int) -> None:
        if operations == 0:
            self.mark_deleted(self.living(number))
        else:
            self.disk.arm("crash", operations, self.living(number).victim)
        self.give(count)

    def spoil(self, fault: str, operations: int, count: int) -> None:
        self.ever_refused |= fault in ("refuse", "full")
        self.disk.is_full = fault == "full"
        if fault in ("refuse", "short"):
            self.disk.arm(fault, operations)
        self.give(count)

    # What must be true whatever happened.

    @property
    def readers(self) -> list[Reader]:
        return [reader for process in self.processes + self.dead for reader in process.readers]

    @invariant()
    def laws_hold(self) -> None:
        self.readers_get_right_bytes()
        self.no_reader_has_a_complete_wrong_blob()
        self.clean_ends_are_whole()
        self.stored_blobs_are_right()
        self.every_byte_came_once()

    def readers_get_right_bytes(self) -> None:
        for reader in self.readers:
            if not self.ever_wrong:
                expected = self.content[reader.start : reader.start + len(reader.got)]
                assert expected == reader.got, "not a prefix of what was asked for"

    def no_reader_has_a_complete_wrong_blob(self) -> None:
        for reader in self.readers:
            is_all = reader.start == 0 and len(reader.got) >= len(self.content)
            assert not is_all or self.content == reader.got

    def clean_ends_are_whole(self) -> None:
        for reader in [each for each in self.readers if each.is_done]:
            assert reader.stop - reader.start == len(reader.got), "ended early, but cleanly"

    def stored_blobs_are_right(self) -> None:
        for path in self.folder.blobs.glob("*/*/*"):
            assert self.content == path.read_bytes()

    def every_byte_came_once(self) -> None:
        if self.tells_size and not (self.ever_wrong or self.ever_refused):
            assert self.given <= len(self.content) + self.lost, "bytes were fetched twice"

    def teardown(self) -> None:
        with self.stack:
            try:
                self.end_well()
            finally:
                for process in self.processes + self.dead:
                    self.run(process.close())

    def end_well(self) -> None:
        """A repeat with a good upstream and a good disk always succeeds."""
        self.disk.disarm()
        self.disk.is_full = False
        self.mood = "honest"
        self.start_process()
        self.apply_mood()
        for process in self.processes:
            process.tap.flow()
        self.let_read(300)
        for process in self.processes:
            self.repeat(process)
        assert self.written == len(self.content), "it was not kept"
        self.laws_hold()

    def repeat(self, process: Process) -> None:
        # Wrong bytes of an earlier download are found only at the end of the first repeat.
        for _ in range(2 if self.ever_wrong else 1):
            reader = Reader(0, len(self.content), None)
            process.join(reader, self.digest)
            self.settle()
            if reader.is_done:
                break
        assert reader.is_done, f"a repeat does not succeed: {reader.error}"
        assert self.content == reader.got


def run(examples: int, steps: int) -> None:
    run_machine(DownloadsMachine, examples, steps)


@pytest.mark.parametrize(
    ("examples", "steps"), list_sizes((25, 25), long=(300, 25), full=(4000, 60), seconds=3600)
)
def test_downloads(examples: int, steps: int) -> None:
    """Whatever upstream, disk, processes and clients do, the laws of the spool hold."""
    run(examples, steps)
