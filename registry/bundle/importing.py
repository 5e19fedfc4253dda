"""Importing a bundle: bytes first, each checked; then manifests; then what names lead to."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from registry.bundle.archive import Member, read_blob_name
from registry.bundle.lock import Lock, LockedImage
from registry.bundle.medium import Medium
from registry.bundle.reading import Opened
from registry.catalog.manifests import ManifestCatalog
from registry.errors import BundleInvalid, DigestMismatch, ManifestInvalid
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Descriptor, Manifest, parse_manifest
from registry.oci.names import Repository, Tag
from registry.oci.span import Span
from registry.store.blobs import BlobStore
from registry.store.part import PartWriter
from registry.store.spool import Spool

POLL = 0.05  # seconds between two looks at a blob that another process is storing
CHUNKS = 4  # pieces of 1 MiB hashed and written in one thread hop


class Keeper(Protocol):
    """Who gives out room on the disk (`mirror.room.Room`)."""

    async def reserve(self, digest: Digest, size: int) -> None:
        """Promise `size` bytes, or raise StoreError."""

    async def settle(self, digest: Digest) -> None:
        """Note what a fill that has ended without a blob left behind."""

    async def record(self, digest: Digest, size: int) -> None:
        """Record a blob that has become whole."""


class Shelver(Protocol):
    """Who keeps manifests and names (`mirror.intake.Intake`)."""

    async def keep(
        self, repository: Repository, manifest: Manifest, tag: Tag | None, now: float
    ) -> None:
        """Keep a manifest of `repository`, and that `tag` leads to it."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A tag that led elsewhere before."""

    image: str
    former: Digest
    now: Digest


@dataclass(slots=True)
class Imported:
    """What an import did: `new` and `known` bytes; `damaged` blobs were not as their names say.

    `incomplete` are images by name with what they lack; their tags were not set. `moved` are tags
    that led elsewhere before.
    """

    new: int = 0
    known: int = 0
    damaged: list[Digest] = field(default_factory=list)
    images: list[LockedImage] = field(default_factory=list)
    incomplete: dict[str, list[Descriptor]] = field(default_factory=dict)
    moved: list[Moved] = field(default_factory=list)
    why: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether everything that the bundle promises is here now."""
        return not (self.damaged or self.incomplete or self.why)


class Importer:
    """Brings bundles into the store, beside whatever serves from it; again is harmless."""

    def __init__(
        self,
        store: BlobStore,
        spool: Spool,
        keeper: Keeper,
        shelver: Shelver,
        catalog: ManifestCatalog,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._spool = spool
        self._keeper = keeper
        self._shelver = shelver
        self._catalog = catalog
        self._clock = clock

    async def count_new(self, lock: Lock) -> int:
        """Return how many bytes of a bundle are not here yet."""
        sizes = [s for digest, s in lock.blobs if await self._store.stat(digest) is None]
        return sum(sizes)

    async def load(self, opened: Opened, tell: Callable[[int], None]) -> Imported:
        """Import what is right of a bundle; each blob's size in bytes is told when it is here.

        Raises:
            StoreError: the disk refused, or there is no room; importing again goes on.
        """
        result = Imported()
        try:
            for member in opened.rest:
                await self._load_blob(opened.medium, member, result)
                tell(member.size)
        except BundleInvalid as error:  # what came before it may be all that some images need
            result.why = str(error)
        for image in opened.lock.images:
            await self._load_image(opened.lock, image, result)
        return result

    async def _load_blob(self, medium: Medium, member: Member, result: Imported) -> None:
        digest = read_blob_name(member.name)
        if await self._store.stat(digest) == member.size:
            result.known += member.size
            return
        writer = await self._take(digest)
        is_kept = False
        try:
            if await self._store.stat(digest) is not None:
                writer.abandon()  # stored by a pull while we waited
                result.known += member.size
            else:
                await self._fill(medium, member, digest, writer)
                result.new += member.size
            is_kept = True
        except DigestMismatch:
            result.damaged.append(digest)
        finally:
            writer.close()
            if not is_kept:
                await self._keeper.settle(digest)

    async def _take(self, digest: Digest) -> PartWriter:
        while True:
            writer = self._spool.take(digest)
            if writer is not None:
                return writer
            await asyncio.sleep(POLL)  # a pull is storing it just now

    async def _fill(
        self, medium: Medium, member: Member, digest: Digest, writer: PartWriter
    ) -> None:
        await self._keeper.reserve(digest, member.size)
        await asyncio.to_thread(_copy, medium.read(member), writer)
        sealed = await asyncio.to_thread(writer.seal)
        await self._store.adopt(sealed)
        await self._keeper.record(digest, sealed.size)

    async def _load_image(self, lock: Lock, image: LockedImage, result: Imported) -> None:
        """Make a name lead to an image, if all of it is here."""
        manifests: list[Manifest] = []
        lacking: list[Descriptor] = []
        for descriptor in (image.root, *image.referrers):
            await self._gather(lock, descriptor, manifests, lacking)
        if lacking:
            result.incomplete[image.name] = lacking
            return
        now = self._clock()
        if isinstance(image.reference, Tag):
            former = self._catalog.find_tag(image.repository, image.reference)
            if former is not None and former.digest != image.root.digest:
                result.moved.append(Moved(image.name, former.digest, image.root.digest))
        # Referrers and children first, and the name last: who finds it finds all of it.
        for manifest in reversed(manifests):
            is_root = manifest.digest == image.root.digest
            tag = image.reference if is_root and isinstance(image.reference, Tag) else None
            await self._shelver.keep(image.repository, manifest, tag, now)
        result.images.append(image)

    async def _gather(
        self,
        lock: Lock,
        descriptor: Descriptor,
        manifests: list[Manifest],
        lacking: list[Descriptor],
    ) -> None:
        manifest = await self._read(lock, descriptor)
        if manifest is None:
            lacking.append(descriptor)
            return
        manifests.append(manifest)
        lacking += [b for b in manifest.blobs if await self._store.stat(b.digest) is None]
        for child in manifest.children:
            if child.digest in lock.manifests:  # the others are not promised by this bundle
                await self._gather(lock, child, manifests, lacking)

    async def _read(self, lock: Lock, descriptor: Descriptor) -> Manifest | None:
        digest, kind = descriptor.digest, lock.manifests.get(descriptor.digest)
        size = await self._store.stat(digest)
        if kind is None or size is None or size > MAX_MANIFEST:
            return None
        raw = b"".join([piece async for piece in self._store.read(digest, Span(0, size))])
        try:
            return parse_manifest(raw, kind, digest) if digest.matches(raw) else None
        except ManifestInvalid:
            return None


def _copy(pieces: Iterator[bytes], writer: PartWriter) -> None:
    """Append what a former import of the same bundle has not; its part is hashed again first."""
    done = writer.resume() if writer.is_growing else 0
    if not writer.is_growing:
        writer.restart()
    skip = done
    for piece in pieces:
        rest, skip = piece[skip:], max(0, skip - len(piece))
        if rest:
            writer.append([rest])


def list_need(results: Sequence[Imported]) -> dict[Digest, int]:
    """Return what images of these imports lack, with sizes in bytes."""
    return {
        each.digest: each.size
        for result in results
        for lacking in result.incomplete.values()
        for each in lacking
    }
