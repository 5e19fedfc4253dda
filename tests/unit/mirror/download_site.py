"""One spool, an upstream in memory, and any number of processes: where flights are tested."""

import asyncio
from contextlib import AsyncExitStack

from registry.mirror.downloads import Flight, Flights, Order
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.data_folder import DataFolder
from registry.store.ingests import Spool
from registry.store.local import DiskStore
from registry.tasks import Tasks
from tests.fakes.source import MemorySource, Tap
from tests.fakes.space import AmpleRoom

REPOSITORY = Repository("docker.io", "library/a")
CONTENT = bytes(range(256)) * 1000
DIGEST = Digest.of(CONTENT)


class Site:
    """One upstream, one data folder, and any number of processes on it."""

    def __init__(self, folder: DataFolder, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.tap = Tap()
        self.source = MemorySource(self.tap, blobs={(REPOSITORY.name, str(DIGEST)): CONTENT})
        self.room = AmpleRoom()
        self._stack = stack

    async def open_process(self) -> Flights:
        tasks = await self._stack.enter_async_context(Tasks())
        spool, store = (
            Spool(self.folder.spool),
            DiskStore(self.folder.blobs, self.folder.quarantine),
        )
        return Flights(spool, store, self.room, tasks, lambda: 0.0)

    def order(self, size: int | None = len(CONTENT)) -> Order:
        return Order(REPOSITORY, DIGEST, size, self.source, 1)

    def is_stored(self) -> bool:
        return any(path.read_bytes() == CONTENT for path in self.folder.blobs.glob("*/*/*"))

    def leave(self, content: bytes, *, is_sealed: bool = False) -> None:
        """Leave a part behind, as a process that died."""
        writer = Spool(self.folder.spool).take(DIGEST)
        assert writer is not None
        writer.append([content])
        if is_sealed:
            writer.seal()
        writer.close()


async def finish(flight: Flight) -> Flight:
    async with asyncio.timeout(20):
        while not flight.is_over:
            await flight.changed()
    return flight


async def open_follower(site: Site) -> tuple[Flight, Flight]:
    """Start a flight in one process, and another that waits for it in a second one."""
    site.tap.allowance = 0
    leader, _ = (await site.open_process()).join(site.order())
    for _ in range(2000):
        if leader.is_writer:
            break
        await asyncio.sleep(0.01)
    follower, _ = (await site.open_process()).join(site.order())
    async with asyncio.timeout(20):
        await follower.changed()  # it has looked at the part
    return leader, follower
