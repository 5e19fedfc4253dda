"""Bringing a bundle's blobs into the store: each byte hashed, and written once."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from registry.bundle.format.tar import BlobMember, format_blob_name
from registry.bundle.read.sources import BundleSource, CutPart, format_place
from registry.errors import BundleInvalid, DigestMismatch
from registry.oci.digest import Digest
from registry.store.blocking import in_thread
from registry.store.contract import BlobStore
from registry.store.ingests import Ingests
from registry.store.partial import PartialWriter, SealedPartial
from registry.store.sparse import SparsePartial

W = TypeVar("W", PartialWriter, SparsePartial)
POLL = 0.05  # seconds between two looks at a blob that another process is storing


class Keeper(Protocol):
    """Who gives out room on the disk (`mirror.room.Room`)."""

    async def reserve(self, digest: Digest, size: int) -> None:
        """Promise `size` bytes, or raise StoreError."""

    async def settle(self, digest: Digest) -> None:
        """Note what a fill that has ended without a blob left behind."""

    async def record(self, digest: Digest, size: int) -> None:
        """Record a blob that has become whole."""

    async def doubt(self, digest: Digest, found: int) -> bool:
        """Whether a stored blob of `found` bytes is not what was recorded; then it is set aside."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A blob of `size` bytes that is cut over volumes, of which `lacking` bytes have not come."""

    digest: Digest
    lacking: int
    size: int


@dataclass(slots=True)
class LoadedBlobs:
    """What came of a bundle's blobs: `new` and `known` bytes, those of parts included.

    `damaged` are files whose bytes are not as their names say, and where they are. `waiting` are
    blobs of which parts have come.
    """

    new: int = 0
    known: int = 0
    damaged: dict[Digest, str] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)


class BlobLoader:
    """Stores blobs of one bundle. While one is made durable, the next is read already."""

    def __init__(self, store: BlobStore, ingests: Ingests, keeper: Keeper) -> None:
        self._store = store
        self._ingests = ingests
        self._keeper = keeper
        self._landing: asyncio.Task[None] | None = None
        self.result = LoadedBlobs()

    async def unload(self, source: BundleSource, member: BlobMember) -> None:
        """Store a blob, unless it is here; one that is not what it is called is noted.

        Raises:
            StoreError: the disk refused, or there is no room; what has arrived is kept.
        """
        digest = member.digest
        if await self._is_here(digest, member.size):
            self.result.known += member.size
            return
        writer = await _take(lambda: self._ingests.take(digest))
        if await self._store.stat(digest) is not None:  # stored by a pull while we waited
            writer.abandon()
            writer.close()
            self.result.known += member.size
            return
        try:
            await self._keeper.reserve(digest, member.size)
            resumed = await in_thread(_copy, source.read(member), writer)
            if resumed and not writer.is_right and source.locate(member):
                # What a crash of the machine left may be none of these bytes: once more, all.
                writer.restart()
                await in_thread(_copy, source.read(member), writer)
        except BundleInvalid as error:
            self._note_damage(digest, member.name, format_place(source, member))
            await self._let_go(digest, writer)
            source.flaws.note(error)
            return
        except BaseException:
            await self._let_go(digest, writer)
            raise
        await self.finish()
        self._landing = asyncio.create_task(self._land(source, member, writer))

    async def finish(self) -> None:
        """Wait until all that was unloaded is durable.

        Raises:
            StoreError: the disk refused.
        """
        landing, self._landing = self._landing, None
        if landing is not None:
            await landing

    async def _is_here(self, digest: Digest, size: int) -> bool:
        """Whether the blob is stored; one that the disk has cut is set aside, and is not."""
        found = await self._store.stat(digest)
        if found is None or found == size:
            return found == size
        return not await self._keeper.doubt(digest, found)

    def _note_damage(self, digest: Digest, name: str, place: str) -> None:
        former = self.result.damaged.get(digest)
        told = f"{name} in {place}"
        self.result.damaged[digest] = f"{former}, {told}" if former else told

    async def _let_go(self, digest: Digest, writer: PartialWriter) -> None:
        writer.close()
        await self._keeper.settle(digest)

    async def _land(self, source: BundleSource, member: BlobMember, writer: PartialWriter) -> None:
        digest, is_kept = member.digest, False
        try:
            await self._adopt(await in_thread(writer.seal))
            self.result.new += member.size
            is_kept = True
        except DigestMismatch:
            self._note_damage(digest, member.name, format_place(source, member))
        finally:
            writer.close()
            if not is_kept:
                await self._keeper.settle(digest)

    async def _adopt(self, sealed: SealedPartial) -> None:
        await self._store.adopt(sealed)
        self._ingests.forget(sealed.digest)
        await self._keeper.record(sealed.digest, sealed.size)

    async def unload_parts(self, parts: Sequence[CutPart]) -> None:
        """Keep parts of one blob, whichever come first; with the last of them it is stored.

        Raises:
            StoreError: the disk refused, or there is no room; what has arrived is kept.
        """
        await self.finish()
        digest, whole = parts[0].member.digest, parts[0].part.whole
        if await self._is_here(digest, whole):
            self.result.known += sum(each.part.size for each in parts)
            return
        assembly, is_kept = await _take(lambda: self._ingests.open_sparse(digest, whole)), False
        try:
            if await self._store.stat(digest) is not None:  # stored by a pull while we waited
                self.result.known += sum(each.part.size for each in parts)
                return
            await self._keeper.reserve(digest, whole)
            new = await self._add(digest, parts, assembly)
            if assembly.lacking:
                self.result.waiting.append(Waiting(digest, assembly.lacking, whole))
            else:
                await self._adopt(await in_thread(assembly.seal))
                is_kept = True
            self.result.new += new
        except DigestMismatch:
            why = "the volumes that its parts came from: import all of them again"
            self._note_damage(digest, format_blob_name(digest), why)
        finally:
            assembly.close()
            if not is_kept:
                await self._keeper.settle(digest)

    async def _add(self, digest: Digest, parts: Sequence[CutPart], assembly: SparsePartial) -> int:
        """Keep those parts that are right, and return how many bytes of them were not here."""
        new = 0
        for each in parts:
            pieces, part = each.source.read(each.member), each.part
            try:
                count = await in_thread(assembly.add, part.start, part.digest, pieces)
                new += count
                self.result.known += part.size - count
            except DigestMismatch:
                self._note_damage(digest, each.member.name, each.source.label)
            except BundleInvalid as error:
                self._note_damage(digest, each.member.name, each.source.label)
                each.source.flaws.note(error)
        return new


async def _take(take: Callable[[], W | None]) -> W:
    """Become a blob's writer, as soon as no pull is any more."""
    while True:
        writer = take()
        if writer is not None:
            return writer
        await asyncio.sleep(POLL)


def _begin(writer: PartialWriter) -> int:
    """Go on with what is there; return how many bytes that is."""
    if writer.is_growing:
        return writer.resume()
    writer.restart()
    return 0


def _copy(pieces: Iterator[bytes], writer: PartialWriter) -> int:
    """Append what a former import has not, and return how much that one had."""
    done = skip = _begin(writer) if not writer.received else 0
    for piece in pieces:
        rest, skip = piece[skip:], max(0, skip - len(piece))
        if rest:
            writer.append([rest])
    return done
