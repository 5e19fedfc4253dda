"""Bringing a bundle's blobs into the store: each byte hashed, and written once."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from registry.bundle.archive import Member, read_blob_name
from registry.bundle.medium import Medium
from registry.bundle.volume_set import LonePart
from registry.errors import BundleInvalid, DigestMismatch
from registry.oci.digest import Digest
from registry.store.blobs import BlobStore
from registry.store.part import PartWriter
from registry.store.spool import Spool
from registry.store.threads import in_thread

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


@dataclass(slots=True)
class Unloaded:
    """What came of a bundle's blobs: `new` and `known` bytes.

    `damaged` are files whose bytes are not as their names say, and where they are. `waiting` are
    blobs that are cut over volumes not all of which were given.
    """

    new: int = 0
    known: int = 0
    damaged: dict[Digest, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)


class Unloader:
    """Stores blobs of one bundle. While one is made durable, the next is read already."""

    def __init__(self, store: BlobStore, spool: Spool, keeper: Keeper) -> None:
        self._store = store
        self._spool = spool
        self._keeper = keeper
        self._landing: asyncio.Task[None] | None = None
        self.result = Unloaded()

    async def unload(self, medium: Medium, member: Member) -> None:
        """Store a blob, unless it is here; one that is not what it is called is noted.

        Raises:
            StoreError: the disk refused, or there is no room; what has arrived is kept.
        """
        digest = read_blob_name(member.name)
        if await self._is_here(digest, member.size):
            self.result.known += member.size
            return
        writer = await self._take(digest)
        if await self._store.stat(digest) is not None:  # stored by a pull while we waited
            writer.abandon()
            writer.close()
            self.result.known += member.size
            return
        try:
            await self._keeper.reserve(digest, member.size)
            resumed = await in_thread(_copy, medium.read(member), writer)
            if resumed and not writer.is_right and medium.locate(member):
                # What a crash of the machine left may be none of these bytes: once more, all.
                writer.restart()
                await in_thread(_copy, medium.read(member), writer)
        except BundleInvalid as error:
            self.result.damaged[digest] = f"{member.name}: {error}"
            await self._let_go(digest, writer)
            return
        except BaseException:
            await self._let_go(digest, writer)
            raise
        await self.finish()
        self._landing = asyncio.create_task(self._land(medium.label, member, writer))

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

    async def _take(self, digest: Digest) -> PartWriter:
        while True:
            writer = self._spool.take(digest)
            if writer is not None:
                return writer
            await asyncio.sleep(POLL)  # a pull is storing it just now

    async def _let_go(self, digest: Digest, writer: PartWriter) -> None:
        writer.close()
        await self._keeper.settle(digest)

    async def _land(self, place: str, member: Member, writer: PartWriter) -> None:
        digest, is_kept = read_blob_name(member.name), False
        try:
            sealed = await in_thread(writer.seal)
            await self._store.adopt(sealed)
            await self._keeper.record(digest, sealed.size)
            self.result.new += member.size
            is_kept = True
        except DigestMismatch:
            self.result.damaged[digest] = f"{member.name} in {place}"
        finally:
            writer.close()
            if not is_kept:
                await self._keeper.settle(digest)

    async def unload_parts(self, parts: Iterable[LonePart]) -> None:
        """Go on with blobs that are cut over volumes, as far as their parts follow each other.

        Each part is read twice, first to be checked: what was appended cannot be taken back.

        Raises:
            StoreError: the disk refused, or there is no room; what has arrived is kept.
        """
        blobs: dict[Digest, list[LonePart]] = {}
        for each in parts:
            blobs.setdefault(read_blob_name(each.member.name), []).append(each)
        for digest, found in blobs.items():
            await self.finish()
            await self._unload_cut(digest, sorted(found, key=lambda each: each.part.start))

    async def _unload_cut(self, digest: Digest, parts: list[LonePart]) -> None:
        whole = parts[0].part.whole
        if await self._is_here(digest, whole):
            self.result.known += sum(each.part.size for each in parts)
            return
        writer = await self._take(digest)
        try:
            await self._keeper.reserve(digest, whole)
            _begin(writer)
            for each in parts:
                if each.part.start > writer.received:
                    break
                if not await in_thread(_is_right, each):
                    self.result.damaged[digest] = each.label
                    break
                await in_thread(_append, each, writer)
            received = writer.received
            if received < whole:
                writer.release()
        except BaseException:
            await self._let_go(digest, writer)
            raise
        if received == whole:
            label = ", ".join(each.label for each in parts)
            await self._land(label, Member(parts[0].member.name, 0, whole), writer)
            return
        await self._let_go(digest, writer)
        self.result.waiting.append(
            f"{digest} is cut over volumes, of which {received} of {whole} bytes are here; import"
            " all volumes together, or the one with the next part of it and then this again"
        )


def _begin(writer: PartWriter) -> int:
    """Go on with what is there; return how many bytes that is."""
    if writer.is_growing:
        return writer.resume()
    writer.restart()
    return 0


def _copy(pieces: Iterator[bytes], writer: PartWriter) -> int:
    """Append what a former import has not, and return how much that one had."""
    done = skip = _begin(writer) if not writer.received else 0
    for piece in pieces:
        rest, skip = piece[skip:], max(0, skip - len(piece))
        if rest:
            writer.append([rest])
    return done


def _is_right(lone: LonePart) -> bool:
    hasher = lone.part.digest.hasher()
    for piece in lone.medium.read(lone.member):
        hasher.update(piece)
    return hasher.hexdigest() == lone.part.digest.encoded


def _append(lone: LonePart, writer: PartWriter) -> None:
    skip = writer.received - lone.part.start
    for piece in lone.medium.read(lone.member):
        rest, skip = piece[skip:], max(0, skip - len(piece))
        if rest:
            writer.append([rest])
