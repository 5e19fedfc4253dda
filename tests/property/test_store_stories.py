"""Laws of the store under everything that is done to it, and under crashes at every step."""

import gc
import os
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack, closing, suppress
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import structlog
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
)

from registry.catalog.pulls import Pull
from registry.errors import ImagePinned, StoreError, Unknown
from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from tests.harness.sizes import list_sizes
from tests.property.machines import run_machine
from tests.property.store_site import IMAGES, LAYERS, LIMIT, Crash, Fuse, Process
from tests.property.virtual_loop import InlineExecutor, VirtualLoop

# Where a sync costs nothing: power never fails here, only processes do.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
TAKING = ("blobs", "reservations", "doomed", "quarantine")
# Hypothesis chooses the first ones when it looks for the shortest story.
ACTIONS = (
    *("put", "put", "put", "pull", "pin", "pin", "unpin", "remove"),
    *("evict", "free_space", "break_off", "audit", "flip", "quarantined"),
)

CUT = MappingProxyType({"put": 4, "unpin": 0})  # what is not here yet, and what is pinned


class StoreMachine(RuleBasedStateMachine):
    """One data folder with a small limit, and one process after the other on it."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(structlog.testing.capture_logs())
        self.root = Path(tempfile.mkdtemp(prefix="stories-", dir=FAST))
        self.stack.callback(shutil.rmtree, self.root)
        self.loop = self.stack.enter_context(closing(VirtualLoop()))
        self.fuse = Fuse()
        self.loop.set_default_executor(InlineExecutor(self.fuse.execute))
        self.folder = open_folder(self.root / "data")
        self.moments = count(1000)
        self.flipped: set[str] = set()
        self.is_cut = False  # whether the last action was
        self.kept: dict[str, set[str]] = {}  # as `list_kept` gave it after the last action
        self.start()

    def start(self) -> None:
        self.process = Process(self.folder, self.fuse, lambda: float(next(self.moments)))
        self.run(self.process.database.__aenter__())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    # One rule for all of it: hypothesis would leave out half of many rules.

    @rule(
        action=st.sampled_from(ACTIONS),
        number=st.integers(0, len(IMAGES) - 1),
        crash=st.just(0) | st.integers(1, 8) | st.integers(1, 25),
        again=st.just(0) | st.integers(1, 6),
    )
    def act(self, action: str, number: int, crash: int, again: int) -> None:
        self.fuse.arm(crash)
        with suppress(Crash, Unknown, ImagePinned, StoreError):
            self.run(getattr(self, action)(number))
        self.is_cut = self.fuse.is_blown
        if self.is_cut:
            self.finish_interrupted(again)
        self.fuse.arm(0)
        kept, self.kept = self.kept, self.list_kept()
        for name in kept.keys() & self.kept.keys():
            assert kept[name] <= self.kept[name] | self.flipped, f"{name} lost what it keeps"

    def finish_interrupted(self, again: int) -> None:
        """Do what the next process does first, which may crash too."""
        for steps in (again, 0):
            self.fuse.arm(0)
            self.run(self.process.close())
            self.start()
            self.fuse.arm(steps)
            with suppress(Crash):
                self.run(self.process.content.space.finish_interrupted())

    async def put(self, number: int) -> None:
        await self.process.put(IMAGES[number])

    async def pull(self, number: int) -> None:
        image = IMAGES[number]
        name, digest = image.tag, image.manifest.digest
        used = Pull(image.repository, name, digest, "", float(next(self.moments)))
        await self.process.pulls.record([used])

    async def pin(self, number: int) -> None:
        images, name = self.process.content.images, (IMAGES[number].repository, IMAGES[number].tag)
        await images.pin(await images.plan_pins([name], []))

    async def unpin(self, number: int) -> None:
        name = (IMAGES[number].repository, IMAGES[number].tag)
        await self.process.content.images.unpin([name])

    async def remove(self, number: int) -> None:
        image, removals = IMAGES[number], self.process.content.deletion
        plan = await removals.plan([(image.repository, image.tag)])
        if plan.refused:
            raise ImagePinned(*plan.refused.values())
        await removals.carry_out(plan.removals)

    async def free_space(self, number: int) -> None:
        digest, space = Digest.of(b"large"), self.process.content.space
        await space.reserve(digest, (number + 1) * LIMIT // len(IMAGES))
        await space.release_reservation(digest)

    async def evict(self, number: int) -> None:
        evictor = self.process.content.evictor
        await evictor.delete(await evictor.plan(number * 500))

    async def break_off(self, number: int) -> None:
        await self.process.store_blob(LAYERS[number], len(LAYERS[number]) // 2)

    async def audit(self, number: int) -> None:
        wrong = {name for name, content in self.read_files().items() if not is_right(name, content)}
        findings = await self.process.content.audit.go_on("steward", is_new=bool(number))
        assert {str(digest) for digest in findings.damaged} == wrong
        assert findings.unknown + findings.missing + findings.unread == []

    async def flip(self, number: int) -> str:
        """Change a byte of a file, and return its digest; empty if there is no file."""
        files = sorted((self.folder.blobs).glob("*/*/*"))
        if not files:
            return ""
        path = files[number * len(files) // len(IMAGES)]
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.chmod(0o600)
        path.write_bytes(content)
        self.flipped.add(f"sha256:{path.name}")
        return f"sha256:{path.name}"

    async def quarantined(self, number: int) -> None:
        if name := await self.flip(number):
            await self.process.content.space.quarantine(Digest.parse(name), "as a pull found out")

    def read_files(self) -> dict[str, bytes]:
        files = self.folder.blobs.glob("*/*/*")
        return {f"sha256:{path.name}": path.read_bytes() for path in files}

    def list_kept(self) -> dict[str, set[str]]:
        """What each pin keeps, of what is here."""
        graph = self.run(self.process.images.load())
        kept = {}
        for pin in self.process.content.images.list_pins():
            roots = [str(root.digest) for root in pin.roots]
            here = set(graph.reach(*roots)) & self.read_files().keys()
            kept[f"{pin.name} at {roots}"] = here
        return kept

    def list_rows(self, table: str) -> dict[str, int]:
        return dict(self.process.database.read(f"SELECT digest, size FROM {table}"))

    @invariant()
    def what_is_recorded_is_there(self) -> None:
        """Rows and files agree, and what has not been spoilt since is right."""
        files = self.read_files()
        assert self.list_rows("blobs") == {name: len(content) for name, content in files.items()}
        assert {name for name in files if not is_right(name, files[name])} <= self.flipped
        assert self.list_rows("doomed") == {}

    @invariant()
    def what_is_used_is_counted(self) -> None:
        """The one row is the sum of all, is what the disk has, and never more than is allowed."""
        used = self.process.catalog.used()
        parts = {
            path.stem.replace("-", ":"): path.stat().st_size
            for path in self.folder.ingests.glob("*.part")
            if path.stat().st_size
        }
        aside = sum(path.stat().st_size for path in self.folder.quarantine.iterdir())
        whole = sum(map(len, self.read_files().values()))
        assert used == sum(sum(self.list_rows(table).values()) for table in TAKING)
        assert self.list_rows("reservations") == parts
        assert used == whole + sum(parts.values()) + aside
        assert used <= LIMIT

    def teardown(self) -> None:
        self.fuse.arm(0)
        self.run(self.process.close())
        self.stack.close()


def is_right(name: str, content: bytes) -> bool:
    return Digest.parse(name).matches(content)


def run_stories(examples: int, steps: int) -> None:
    run_machine(StoreMachine, examples, steps)
    gc.collect()  # what crashes left open is closed here, where that is expected


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize(
    ("examples", "steps"), list_sizes((8, 20), long=(150, 25), full=(3000, 50), seconds=3600)
)
def test_store_stories(examples: int, steps: int) -> None:
    """Whatever is done in whatever order, wherever it is cut off, the laws of the store hold."""
    run_stories(examples, steps)


def cut_off(action: str, step: int) -> bool:
    """Have an action end before that step, if it has so many; and go on as if nothing had been."""
    machine = StoreMachine()
    try:
        begin = (("put", 0), ("put", 3), ("quarantined", 5), ("put", 5), ("pin", 0))
        for each, number in (*begin, ("break_off", 5), ("flip", 3)):
            machine.act(each, number, 0, 0)
        machine.act(action, CUT.get(action, 3), step, step % 3)
        is_cut = machine.is_cut
        for each, number in (("put", 3), ("put", 4), ("audit", 1), ("remove", 3), ("evict", 5)):
            machine.what_is_recorded_is_there()
            machine.what_is_used_is_counted()
            machine.act(each, number, 0, 0)
    finally:
        machine.teardown()
    return is_cut


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("action", sorted({*ACTIONS} - {"flip"}))
@pytest.mark.parametrize("stride", [4, pytest.param(1, marks=pytest.mark.programs)])
def test_a_crash_at_every_step(action: str, stride: int) -> None:
    """Wherever an action is cut off, the next process ends it, or nothing of it was done."""
    assert cut_off(action, 1)
    assert any(not cut_off(action, step) for step in range(2, 200, stride))
    gc.collect()
