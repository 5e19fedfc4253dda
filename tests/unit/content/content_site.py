"""A data folder with images, and all services over it, for the tests of `registry/content/`."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.catalog.audits import AuditCatalog
from registry.catalog.database import Database
from registry.catalog.deletion import DeletionCatalog
from registry.catalog.image_graph import ImageGraphCatalog
from registry.catalog.last_used import LastUsedCatalog
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.pins import Pin, Root, put_pins
from registry.catalog.pulls import Pull, PullCatalog
from registry.catalog.usage import UsageCatalog
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.oci.names import Reference, Repository, Tag
from registry.settings.model import StorageSettings
from registry.store.data_folder import DataFolder, open_folder
from registry.wiring.content import open_handles
from tests.harness.process_parts import ProcessParts

HERE, THERE = Repository("docker.io", "library/a"), Repository("ghcr.io", "team/a")
LIMIT = 1_000_000


class Crash(Exception):
    """The process dies at this point: no code catches this error or cleans up."""


@dataclass(frozen=True)
class Image:
    """A manifest, and the contents of the blobs that it refers to."""

    manifest: Manifest
    blobs: tuple[bytes, ...] = ()

    @property
    def digest(self) -> Digest:
        return self.manifest.digest


def describe(content: bytes, media_type: str = "x", **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content)} | more


def make_image(*blobs: bytes, subject: Image | None = None) -> Image:
    """Make an image of a config and layers."""
    document: dict[str, object] = {
        "config": describe(blobs[0]),
        "layers": [describe(each) for each in blobs[1:]],
    }
    if subject is not None:
        document["subject"] = describe(subject.manifest.raw, subject.manifest.media_type)
    return Image(parse_manifest(json.dumps(document).encode(), media_types.OCI_MANIFEST), blobs)


def make_index(*children: Image, platforms: Sequence[str] = (), kind: str = "") -> Image:
    """Make an index; `platforms` are those of its children, `kind` is its media type."""
    entries = []
    for number, child in enumerate(children):
        entry = describe(child.manifest.raw, child.manifest.media_type)
        if number < len(platforms):
            system, architecture, *variant = platforms[number].split("/")
            entry["platform"] = {"os": system, "architecture": architecture}
            entry["platform"] |= {"variant": variant[0]} if variant else {}  # type: ignore[operator]
        entries.append(entry)
    document = {"manifests": entries, "annotations": {"kind": kind}}
    return Image(parse_manifest(json.dumps(document).encode(), media_types.OCI_INDEX))


class Site(ProcessParts):
    """One process on one data folder, with what tests ask of its catalog."""

    def __init__(
        self,
        folder: DataFolder,
        database: Database,
        limit: int,
        reserve: int = 0,
        keep_pulled: float = 0.0,
    ) -> None:
        storage = StorageSettings(limit=limit, reserve=reserve, keep_pulled=keep_pulled)
        super().__init__(open_handles(folder), database, storage=storage)
        self.catalog = UsageCatalog(database)
        self.manifests, self.images = ManifestCatalog(database), ImageGraphCatalog(database)
        self.removal, self.uses = DeletionCatalog(database), LastUsedCatalog(database)
        self.audits, self.pulls = AuditCatalog(database), PullCatalog(database)
        self.references, self.pins = self.handles.tags, self.content._pins
        self.room, self.evictor = self.content.space, self.content.evictor

    async def fill(self, content: bytes) -> Digest:
        """Store a blob as a download does, unless it is stored already."""
        digest = Digest.of(content)
        if await self.store.stat(digest) is None:
            writer = self.ingests.take(digest)
            assert writer is not None
            await self.room.reserve(digest, len(content))
            writer.abandon()
            self.adopt(content)
            await self.room.record(digest, len(content))
            writer.close()
        return digest

    def adopt(self, content: bytes) -> Digest:
        """Store a blob without telling the catalog."""
        digest = Digest.of(content)
        path = self.path_of(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return digest

    async def pull(self, repository: Repository, image: Image, *tags: str) -> Digest:
        """Store an image as pulls do, with its blobs."""
        for blob in image.blobs:
            await self.fill(blob)
        for tag in tags or (None,):
            name = Tag(tag) if tag else None
            await self.content.manifests.keep(repository, image.manifest, name, self.now)
        return image.digest

    async def note_pulls(self, *pulls: tuple[Repository, Digest, float]) -> None:
        """Note pulls of manifests by digest."""
        await self.pulls.record([Pull(where, what, what, "", when) for where, what, when in pulls])

    async def pin(
        self, repository: Repository, reference: Reference, platforms: Sequence[str] = ()
    ) -> None:
        """Pin an image as the command does."""
        images = self.content.images
        await images.pin(await images.plan_pins([(repository, reference)], platforms))

    async def put_pin(
        self, repository: Repository, reference: Reference, roots: Sequence[Root], made: float
    ) -> None:
        """Put a pin into the catalog, even if the image is not stored."""
        pin = Pin(repository, reference, tuple(roots), made)
        await self.database.write(lambda rows: put_pins(rows, [pin]))

    def path_of(self, digest: Digest) -> Path:
        return self.folder.blobs / digest.algorithm / digest.encoded[:2] / digest.encoded

    def is_here(self, digest: Digest) -> bool:
        return self.path_of(digest).exists()

    def spoil(self, digest: Digest, content: bytes) -> None:
        """Change bytes of a blob on disk."""
        path = self.path_of(digest)
        path.unlink()
        path.write_bytes(content)

    def list_files(self) -> set[str]:
        """Return the names of all blobs on disk."""
        return {path.name for path in self.folder.blobs.glob("*/*/*")}

    def measure(self) -> int:
        """Return the bytes on disk that count for the limit."""
        places = (self.folder.blobs, self.folder.ingests, self.folder.quarantine)
        files = [path for place in places for path in place.rglob("*") if path.is_file()]
        return sum(path.stat().st_size for path in files)

    async def list_evictable(self) -> set[Digest]:
        return {blob.digest for blob in await self.catalog.list_coldest()}


@asynccontextmanager
async def open_site(
    path: Path, limit: int = LIMIT, reserve: int = 0, keep_pulled: float = 0.0
) -> AsyncIterator[Site]:
    """Open a data folder at `path`; images may be evicted `keep_pulled` seconds after a pull."""
    folder = open_folder(path)
    async with Database(folder.catalog) as database:
        yield Site(folder, database, limit, reserve, keep_pulled)
