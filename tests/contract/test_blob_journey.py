"""The journey of a blob through `Blobs` and the API, over every store that a mirror may have.

A store is asked by its contract only: one without local files serves the same answers.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from http.client import IncompleteRead
from pathlib import Path

import pytest
from aiohttp import web

from registry.api.access_log import AccessLog
from registry.api.blobs import answer_blob
from registry.api.middleware import Middleware, Notes
from registry.bundle.read.blob_store import BundleStore
from registry.bundle.read.open import open_paths
from registry.catalog.database import Database
from registry.content.backup import DataHandles
from registry.errors import StoreError
from registry.metrics.process_metrics import Metrics
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.contract import BlobReader, BlobStore, ChunkBody, ManagedStore
from registry.store.data_folder import open_folder
from registry.store.ingests import Ingests
from registry.tasks import Tasks
from registry.wiring.content import open_handles
from tests.fakes.memory_store import MemoryStore
from tests.fakes.source import MemorySource, Tap
from tests.fakes.space import AmpleSpace
from tests.harness.bundle_files import plan, write_tar, write_volumes
from tests.harness.filled_folder import open_filled
from tests.harness.process_parts import ProcessParts
from tests.integration.wire import Answer, fetch

MIB = 1024 * 1024
CONTENT = bytes(range(256)) * (3 * MIB // 256) + b"end"
SIZE = len(CONTENT)
DIGEST = Digest.of(CONTENT)
# Nothing arrives in a bundle, and nothing in it is deleted.
WRITABLE = pytest.mark.parametrize("site", ["disk", "memory"], indirect=True)
HERE = Repository("docker.io", "library/app")


@dataclass
class Site:
    """A mirror over one store; its upstream sends nothing until the test allows it."""

    store: BlobReader
    kept: BlobStore
    tap: Tap
    source: MemorySource
    ingests: Ingests
    url: str = ""

    async def ask(self, *headers: tuple[str, str], method: str = "GET") -> Answer:
        return await asyncio.to_thread(fetch, self.url, headers, method=method)

    async def put(self) -> None:
        """Have the blob in the store, unless it came with it."""
        if await self.store.stat(DIGEST) is None:
            writer = self.ingests.take(DIGEST)
            assert writer is not None
            writer.append([CONTENT])
            await self.kept.adopt(writer.seal())
            writer.close()


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (nothing notifies the test)
            await asyncio.sleep(0.005)


async def open_bundle(stack: AsyncExitStack, path: Path, kind: str) -> BundleStore:
    async with open_filled(path / "filled") as filled:
        await filled.put_image(f"{HERE}:1", (CONTENT,))
        planned = await plan(filled, [f"{HERE}:1"])
        if kind == "bundle":
            files = [await write_tar(filled, planned, path / "b.tar")]
        else:
            files = await write_volumes(filled, planned, path, MIB)
    (path / "proofs").mkdir()
    with ExitStack() as opened:
        return BundleStore.over(opened.enter_context(open_paths(files)), path / "proofs")


async def open_store(
    stack: AsyncExitStack, path: Path, handles: DataHandles, kind: str
) -> ManagedStore | MemoryStore | BundleStore:
    match kind:
        case "disk":
            return handles.store
        case "memory":
            return MemoryStore()
        case _:
            return await open_bundle(stack, path, kind)


@pytest.fixture(params=["disk", "memory", "bundle", "volumes"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        handles = open_handles(open_folder(tmp_path / "data"))
        store = await open_store(stack, tmp_path, handles, request.param)
        tap = Tap()
        source = MemorySource(tap, blobs={(HERE.name, str(DIGEST)): CONTENT})
        kept = handles.store if isinstance(store, BundleStore) else store
        site = Site(store, kept, tap, source, handles.ingests)
        database = await stack.enter_async_context(Database(handles.folder.catalog))
        tasks = await stack.enter_async_context(Tasks())
        parts = ProcessParts(
            replace(handles, store=kept, blobs=store),
            database,
            space=AmpleSpace(),
            tasks=tasks,
            sources={HERE.registry: source},
        )

        async def answer(asked: web.BaseRequest, notes: Notes) -> web.StreamResponse:
            return await answer_blob(asked, notes, parts.blobs, HERE, DIGEST)

        middleware = Middleware(AccessLog(Metrics()), answer)
        runner = web.ServerRunner(web.Server(middleware.answer, access_log=None))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        door = web.TCPSite(runner, "127.0.0.1", 0)
        await door.start()
        site.url = f"http://127.0.0.1:{runner.addresses[0][1]}/blob"
        yield site


async def test_a_stored_blob_is_served_whole(site: Site) -> None:
    """A pull of a stored blob has its bytes and its length, and asks the upstream for none."""
    await site.put()
    answer = await site.ask()
    assert (answer.status, answer.origin) == (200, "hit")
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.body == CONTENT
    assert site.tap.given == 0


async def test_a_head_has_the_size(site: Site) -> None:
    """A HEAD of a stored blob has the headers of the whole, and no body."""
    await site.put()
    answer = await site.ask(method="HEAD")
    assert (answer.status, answer.origin, answer.body) == (200, "hit", b"")
    assert answer.headers["Content-Length"] == str(SIZE)


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("0-0", 0, 1),
        (f"{MIB - 5}-{MIB + 4}", MIB - 5, MIB + 5),
        (f"{2 * MIB}-", 2 * MIB, SIZE),
        ("-3", SIZE - 3, SIZE),
    ],
)
async def test_a_range_is_served(site: Site, asked: str, start: int, stop: int) -> None:
    """A range has exactly its bytes, wherever the store cuts its pieces."""
    await site.put()
    answer = await site.ask(("Range", f"bytes={asked}"))
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.body == CONTENT[start:stop]


async def test_a_range_behind_the_end_is_refused(site: Site) -> None:
    """A range behind the end is an error that says the size, and no empty answer."""
    await site.put()
    answer = await site.ask(("Range", f"bytes={SIZE}-"))
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


async def test_several_ranges_are_served(site: Site) -> None:
    """Several ranges come in one answer (RFC 9110 section 14.6), each with its bytes."""
    await site.put()
    answer = await site.ask(("Range", f"bytes=0-9, {MIB - 2}-{MIB + 1}, -3"))
    assert answer.status == 206
    boundary = answer.headers["Content-Type"].partition("boundary=")[2]
    parts = answer.body.split(b"\r\n--" + boundary.encode())
    expected = [CONTENT[:10], CONTENT[MIB - 2 : MIB + 2], CONTENT[-3:]]
    assert expected == [part.partition(b"\r\n\r\n")[2] for part in parts[1:4]]
    assert answer.headers["Content-Length"] == str(len(answer.body))


@WRITABLE
async def test_an_arriving_blob_becomes_a_stored_one(site: Site) -> None:
    """A blob is read while it arrives; then it is stored, and the next pull asks nobody."""
    site.tap.give(MIB)
    first = asyncio.create_task(site.ask())
    second = asyncio.create_task(site.ask(("Range", "bytes=-3")))
    await wait_until(lambda: site.tap.given == MIB)
    assert await site.store.stat(DIGEST) is None
    site.tap.flow()
    async with asyncio.timeout(30):
        whole, end = await first, await second
        assert (whole.status, whole.body) == (200, CONTENT)
        assert (end.status, end.body) == (206, CONTENT[-3:])
        while await site.store.stat(DIGEST) is None:  # noqa: ASYNC110 (a reader is done before)
            await asyncio.sleep(0.005)
        again = await site.ask()
    assert (again.status, again.origin, again.body) == (200, "hit", CONTENT)
    assert site.tap.given == SIZE


@WRITABLE
async def test_a_served_blob_is_given_back(site: Site) -> None:
    """When it has been sent nobody reads a blob any more: it may be claimed and deleted."""
    await site.put()
    await site.ask(("Range", "bytes=0-9"))
    async with asyncio.timeout(30):
        is_free = False
        while (
            not is_free
        ):  # the client may have the last byte before the server has closed the blob
            with site.store.claim(DIGEST) as is_free:
                await asyncio.sleep(0.005)


async def test_a_store_that_ends_early_ends_in_a_cut(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a store has fewer bytes than it said, or fails, no client takes them for the whole."""
    await site.put()

    async def fail(span: Span) -> AsyncIterator[bytes]:
        yield CONTENT[:10]
        raise StoreError("memory", "is gone")

    async def end_early(span: Span) -> AsyncIterator[bytes]:
        yield CONTENT[:10]

    for read in (fail, end_early):
        opened = asyncio.Future[ChunkBody]()
        opened.set_result(ChunkBody(SIZE, read, lambda: None))
        monkeypatch.setattr(site.store, "open", lambda _, opened=opened: opened)
        with pytest.raises((IncompleteRead, ConnectionError)):
            await asyncio.wait_for(site.ask(), 30)
