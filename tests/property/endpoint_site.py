"""One process of a mirror in memory, whose upstream has several endpoints with faults."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, aclosing, closing
from pathlib import Path
from typing import Any

import httpx

from registry.catalog.blob_access import BlobAccessCatalog
from registry.catalog.database import Database
from registry.errors import EntrepotError
from registry.mirror.blob_bodies import StoredBlob
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.settings.model import LimitSettings
from registry.store.data_folder import open_folder
from registry.tasks import Tasks
from registry.upstream.performance import Performance
from registry.wiring.content import open_handles
from tests.fakes.space import AmpleSpace
from tests.fakes.virtual_endpoints import VirtualEndpoint, VirtualTransport, build_source
from tests.harness.process_parts import ProcessParts
from tests.property.virtual_loop import InlineExecutor, VirtualLoop

REPOSITORY = Repository("docker.io", "library/thing")
MEMORY = 4 * 1024 * 1024  # bytes that downloads may hold
# Where a sync costs nothing.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Reader:
    """A client that reads a blob to its end; `got` is what it has.

    `at_error` is how many bytes it had when the download that it read failed.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.got = bytearray()
        self.is_whole = False
        self.at_error: int | None = None
        self.task: asyncio.Task[None]

    @property
    def is_right(self) -> bool:
        return self.content.startswith(self.got)

    async def pull(self, site: "EndpointSite", digest: Digest) -> None:
        """Read as `registry/api/blobs.py` does; an error breaks the connection."""
        try:
            with closing(await site.parts.blobs.get(REPOSITORY, digest)) as blob:
                if isinstance(blob, StoredBlob):
                    async for piece in blob.pieces(0, blob.size):
                        self._keep(piece)
                else:
                    await self._follow(blob)
            self.is_whole = True
        except EntrepotError:
            pass

    async def _follow(self, blob: Any) -> None:
        try:
            while len(self.got) < len(self.content):
                offset = len(self.got)
                self._keep((blob.fileno(), offset, await blob.advance(offset)))
        except EntrepotError as failure:
            self.at_error = len(self.got)
            rest = blob.read_rest(Span(0, self.at_error), len(self.content), failure)
            async with aclosing(rest) as pieces:
                async for piece in pieces:
                    self._keep(piece)

    def _keep(self, piece: tuple[int, int, int] | bytes) -> None:
        if not isinstance(piece, bytes):
            descriptor, start, stop = piece
            piece = os.pread(descriptor, stop - start, start)
        self.got += piece


class EndpointSite:
    """A data folder, a process that downloads blobs to it, and the endpoints of its upstream."""

    def __init__(self, endpoints: Sequence[VirtualEndpoint], connections: int) -> None:
        self.stack = ExitStack()
        self.loop = VirtualLoop()
        self.stack.callback(self.loop.close)
        self.loop.set_default_executor(InlineExecutor(_execute))
        root = Path(tempfile.mkdtemp(prefix="endpoints-", dir=FAST))
        self.stack.callback(shutil.rmtree, root)
        self.folder = open_folder(root / "data")
        self.readers: list[Reader] = []
        self._seen: set[str] = set()
        self.run(self._open(endpoints, connections))

    async def _open(self, endpoints: Sequence[VirtualEndpoint], connections: int) -> None:
        self._database = Database(self.folder.catalog)
        # Its own thread would run beside the virtual time.
        self._database._writing.shutdown()
        self._database._writing = InlineExecutor(_execute)
        await self._database.__aenter__()
        self._tasks = Tasks()
        client = httpx.AsyncClient(transport=VirtualTransport(endpoints))
        self._source = build_source(endpoints, client)
        self.parts = ProcessParts(
            open_handles(self.folder),
            self._database,
            limits=LimitSettings(download_memory=MEMORY),
            space=AmpleSpace(),
            tasks=self._tasks,
            sources={REPOSITORY.registry: self._source},
            connections=connections,
        )
        self.parts.ask_no_other()

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(work)

    def allow(self, digest: Digest, size: int) -> None:
        """Let the repository have a blob."""
        access = BlobAccessCatalog(self._database)
        self.run(access.grant(REPOSITORY, digest, size, self.parts.clock()))

    def forget_endpoints(self) -> None:
        """Forget how the endpoints deliver, and who has lied, as after the loss of the catalog."""
        for endpoint in self._source._pool.endpoints:
            endpoint.measured.take_new()
            endpoint.measured.adopt(Performance())

    def join(self, reader: Reader, digest: Digest) -> None:
        """Let a reader connect."""
        self.readers.append(reader)
        reader.task = self.loop.create_task(reader.pull(self, digest))

    @property
    def is_downloading(self) -> bool:
        return bool(self.parts.downloads._running)

    @property
    def written(self) -> int:
        """How many bytes are in partial files."""
        return sum(path.stat().st_size for path in self.folder.ingests.glob("*.part"))

    def is_stored(self, digest: Digest) -> bool:
        return any(path.name == digest.encoded for path in self._list_blobs())

    def list_stored(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of each blob that was stored since the last call."""
        for path in self._list_blobs():
            if path.name not in self._seen:
                self._seen.add(path.name)
                yield path.name, path.read_bytes()

    def _list_blobs(self) -> list[Path]:
        return list(self.folder.blobs.glob("*/*/*"))

    def forget_readers(self) -> None:
        """Forget those that have left, or have their blob."""
        self.readers = [each for each in self.readers if not each.task.done()]

    def close(self) -> None:
        with self.stack:
            self.run(self._close())

    async def _close(self) -> None:
        for reader in self.readers:
            reader.task.cancel()
            await asyncio.gather(reader.task, return_exceptions=True)
        await self._tasks.__aexit__()
        await self._database.__aexit__()


def _execute(work: Callable[[], Any], future: "Future[Any]") -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is raised where the work was asked for
        future.set_exception(error)
