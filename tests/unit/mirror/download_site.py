"""One data folder, an upstream in memory, and any number of processes, to test downloads."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from registry.mirror.download import Download
from registry.mirror.download_request import DownloadRequest
from registry.mirror.downloads import Downloads
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.settings.model import LimitSettings
from registry.store.data_folder import DataFolder
from registry.store.ingests import Ingests
from registry.tasks import Tasks
from registry.wiring.content import open_handles
from tests.fakes.source import MemorySource, Tap
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import LIMITS, ProcessParts

REPOSITORY = Repository("docker.io", "library/a")
CONTENT = bytes(range(256)) * 1000
DIGEST = Digest.of(CONTENT)


class Site:
    """One upstream, one data folder, and any number of processes on it."""

    def __init__(
        self, folder: DataFolder, stack: AsyncExitStack, limits: LimitSettings = LIMITS
    ) -> None:
        self.folder = folder
        self.limits = limits
        self.tap = Tap()
        self.source = MemorySource(self.tap, blobs={(REPOSITORY.name, str(DIGEST)): CONTENT})
        self.space = AmpleSpace()
        self._stack = stack

    async def open_process(self) -> Downloads:
        return (await self.open_parts()).downloads

    async def open_parts(self) -> ProcessParts:
        tasks = await self._stack.enter_async_context(Tasks())
        handles = open_handles(self.folder)
        return ProcessParts(handles, limits=self.limits, space=self.space, tasks=tasks)

    def order(self, size: int | None = len(CONTENT)) -> DownloadRequest:
        return DownloadRequest(REPOSITORY, DIGEST, size, self.source, 1)

    def is_stored(self) -> bool:
        return any(path.read_bytes() == CONTENT for path in self.folder.blobs.glob("*/*/*"))

    def parts(self) -> list[Path]:
        """Return the partial files."""
        return list(self.folder.ingests.glob("*.part"))

    def leave(self, content: bytes, *, is_sealed: bool = False) -> None:
        """Leave a partial file behind, as a process that died."""
        writer = Ingests(self.folder.ingests).take(DIGEST)
        assert writer is not None
        writer.append([content])
        if is_sealed:
            writer.seal()
        writer.close()


async def finish(download: Download) -> Download:
    async with asyncio.timeout(20):
        while not download.is_over:
            await download.changed()
    return download


async def open_follower(site: Site) -> tuple[Download, Download]:
    """Start a download in one process, and another that follows it in a second one."""
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
