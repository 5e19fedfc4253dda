"""One mirror in simulated time: its real code, from the HTTP client to the blob store."""

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from registry.catalog.blob_access import BlobAccessCatalog
from registry.catalog.database import Database
from registry.mirror.blobs import Blobs
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.contract import BlobStore
from registry.store.data_folder import open_folder
from registry.tasks import Tasks
from registry.upstream.auth import Login
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.registry import RegistrySource
from registry.upstream.tokens import TokenCache
from registry.wiring.content import open_handles
from tests.fakes.space import AmpleSpace
from tests.harness.process_parts import ProcessParts
from tests.property.virtual_loop import InlineExecutor, VirtualLoop

REPOSITORY = Repository("docker.io", "library/thing")
EPOCH = 1_800_000_000.0  # of the begin of the month
MEMORY = "/dev/shm"  # noqa: S108 - folders with random names are made in it
CONNECTIONS = 10  # the default of the settings


@dataclass(frozen=True)
class SimulatedMirror:
    """What a client of the mirror needs."""

    source: RegistrySource
    blobs: Blobs
    store: BlobStore


@asynccontextmanager
async def open_mirror(
    network: httpx.AsyncBaseTransport,
    endpoints: Sequence[str],
    sizes: dict[Digest, int],
    *,
    is_measured: bool,
) -> AsyncIterator[SimulatedMirror]:
    """Open a mirror with an empty store on a `VirtualLoop`, which knows the sizes of blobs."""
    async with AsyncExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="month-", dir=_find_fast_folder()))
        stack.callback(shutil.rmtree, root)
        folder = open_folder(root / "data")
        database = Database(folder.catalog)
        database._writing.shutdown()  # its own thread would run beside the simulated time
        database._writing = InlineExecutor(_execute)
        await stack.enter_async_context(database)
        client = await stack.enter_async_context(httpx.AsyncClient(transport=network))
        source = _build_source(client, endpoints, is_measured=is_measured)
        tasks = await stack.enter_async_context(Tasks())
        parts = ProcessParts(
            open_handles(folder),
            database,
            space=AmpleSpace(),
            clock=_now,
            tasks=tasks,
            sources={REPOSITORY.registry: source},
            connections=CONNECTIONS,
        )
        parts.ask_no_other()
        access = BlobAccessCatalog(database)
        for digest, size in sizes.items():
            await access.grant(REPOSITORY, digest, size, _now())
        yield SimulatedMirror(source, parts.blobs, parts.store)


def _build_source(
    client: httpx.AsyncClient, endpoints: Sequence[str], *, is_measured: bool
) -> RegistrySource:
    tokens = TokenCache(client, _clock)
    built = []
    for name in endpoints:
        url = f"http://{name}"
        endpoint = Endpoint(url, client, Login(url, None, tokens), _clock, lambda _: None)
        endpoint.measured.now = _now
        built.append(endpoint)
    chance = random.Random(1)  # noqa: S311 - it has to be the same again
    pool = EndpointPool(
        REPOSITORY.registry, built, _clock, chance, is_measured=is_measured, now=_now
    )
    return RegistrySource(REPOSITORY.registry, pool)


def open_loop() -> asyncio.AbstractEventLoop:
    """Return a loop of simulated time, whose threads do their work at once."""
    loop = VirtualLoop()
    loop.set_default_executor(InlineExecutor(_execute))
    return loop


def _execute(work: Callable[[], Any], future: "Future[Any]") -> None:
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - it is raised again where the result is read
        future.set_exception(error)


def _find_fast_folder() -> str | None:
    """Return a folder in memory, where a sync costs nothing; None if there is none."""
    return MEMORY if os.access(MEMORY, os.W_OK) else None


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _now() -> float:
    return EPOCH + _clock()
