"""A store in memory's time: little room, images that share it, and processes that may crash."""

import json
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from registry.catalog.database import Database
from registry.catalog.image_graph import ImageGraphCatalog
from registry.catalog.pulls import PullCatalog
from registry.catalog.usage import UsageCatalog
from registry.errors import StoreError
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.oci.names import Repository, Tag
from registry.settings.model import StorageSettings
from registry.store.data_folder import DataFolder
from registry.wiring.content import open_handles
from tests.harness.process_parts import ProcessParts
from tests.property.virtual_loop import InlineExecutor

LIMIT = 6000  # bytes, of some 9000 that all images take
LAYERS = tuple(bytes([number]) * size for number, size in enumerate((1, 300, 500, 900, 1600, 2500)))


@dataclass(frozen=True)
class Image:
    """What a tag leads to at one time or another."""

    repository: Repository
    tag: Tag
    manifest: Manifest
    layers: tuple[bytes, ...]


def make_image(repository: str, tag: str, *numbers: int) -> Image:
    layers = tuple(LAYERS[number] for number in numbers)
    described = [
        {"mediaType": "x", "digest": str(Digest.of(each)), "size": len(each)} for each in layers
    ]
    document = json.dumps({"config": described[0], "layers": described[1:]}).encode()
    manifest = parse_manifest(document, media_types.OCI_MANIFEST)
    return Image(Repository("docker.io", repository), Tag(tag), manifest, layers)


# One tag moves, one image has two names, one is in two repositories; most share a layer.
IMAGES = (
    make_image("team/a", "1", 1, 2),
    make_image("team/a", "1", 1, 3),
    make_image("team/a", "old", 1, 2),
    make_image("team/b", "1", 0, 4, 2),
    make_image("team/c", "1", 0, 5),
    make_image("team/b", "2", 0, 5),
)


class Crash(BaseException):
    """The process ends here; what it would have done next is not done."""


class Fuse:
    """Runs what goes to the disk or the catalog, until it blows: then nothing runs any more."""

    def __init__(self) -> None:
        self.is_blown = False
        self._left = 0

    def arm(self, steps: int) -> None:
        """Blow before the step so far from here; 0: never."""
        self.is_blown, self._left = False, steps

    def execute(self, work: Callable[[], Any], future: "Future[Any]") -> None:
        if self._left:
            self._left -= 1
            self.is_blown = not self._left
        if self.is_blown:
            future.set_exception(Crash())
            return
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - the task that awaits the thread gets it
            future.set_exception(error)


class Process:
    """What looks after the store in one process, and pulls as downloads do."""

    def __init__(self, folder: DataFolder, fuse: Fuse, clock: Callable[[], float]) -> None:
        self.database = Database(folder.catalog)
        # Its own thread would run beside the virtual time.
        self.database._writing.shutdown()
        self.database._writing = InlineExecutor(fuse.execute)
        self.handles = open_handles(folder)
        storage = StorageSettings(limit=LIMIT, reserve=0, keep_pulled=0)
        parts = ProcessParts(self.handles, self.database, storage=storage, clock=clock)
        self.content = parts.content
        self.catalog, self.images = UsageCatalog(self.database), ImageGraphCatalog(self.database)
        self.pulls = PullCatalog(self.database)
        self._clock = clock

    async def put(self, image: Image) -> None:
        """Store an image, as if a client had pulled all of it."""
        manifest = image.manifest
        await self.content.manifests.keep(image.repository, manifest, image.tag, self._clock())
        for layer in image.layers:
            with suppress(StoreError):  # no space: the client gets the blob in spite of it
                await self.store_blob(layer, len(layer))

    async def store_blob(self, content: bytes, stop: int) -> None:
        """Store a blob; after `stop` bytes the download breaks off."""
        digest = Digest.of(content)
        if await self.handles.store.stat(digest) is not None:
            return
        ingest = self.content.content.try_ingest(digest)
        assert ingest is not None
        async with ingest:
            try:
                offset = await ingest.resume(len(content))
                if rest := content[offset:stop]:
                    await ingest.append([rest], len(content))
                if ingest.is_complete:
                    await ingest.commit()
            except StoreError:
                await ingest.abort()
                raise

    async def close(self) -> None:
        """End, in order or after a crash: what was committed is committed either way."""
        await self.database.__aexit__()
