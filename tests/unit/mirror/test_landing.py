"""Laws of letting bytes land: readers are told soon, also while a thread still receives."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from registry.mirror.landing import PORTION, land
from registry.oci.digest import Digest
from registry.store.data_folder import open_folder
from registry.wiring.content import open_handles
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import ProcessParts

HALF = bytes(PORTION // 2)
CONTENT = HALF * 3


class Arriving:
    """Incoming bytes that end when a test allows it."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.seconds = self.waited = 0.0
        self._received = 0

    def __len__(self) -> int:
        return self._received

    def receive(self, sink: Callable[[memoryview], None], seconds: float) -> None:
        self.seconds = seconds
        for _ in range(2):
            sink(memoryview(HALF))
        assert self.may_end.wait(30)
        self._received = 2 * len(HALF)


async def test_readers_are_told_before_the_thread_returns(tmp_path: Path) -> None:
    """A thread that receives much tells readers meanwhile; its bytes are counted at its end."""
    handles = open_handles(open_folder(tmp_path))
    parts = ProcessParts(handles, space=AmpleSpace(handles.store))
    ingest = parts.content.content.try_ingest(Digest.of(CONTENT))
    assert ingest is not None
    told = asyncio.Event()
    async with ingest:
        assert await land([HALF], ingest, told.set, lambda: 1.0) == len(HALF)
        assert told.is_set()
        told.clear()
        arriving = Arriving()
        landing = asyncio.create_task(land(arriving, ingest, told.set, lambda: 2.0))
        await asyncio.wait_for(told.wait(), 30)
        assert not landing.done()
        arriving.may_end.set()
        assert await landing == 2 * len(HALF)
        assert arriving.seconds == 2.0
        assert ingest.is_complete
