"""Storing the blobs of a bundle: each byte is hashed and written once."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from registry.bundle.format.tar import BlobMember, Member, format_blob_name
from registry.bundle.read.sources import BundleSource, CutPart, format_place
from registry.content.content import Content
from registry.content.ingest import Ingest
from registry.content.sparse_ingest import SparseIngest
from registry.content.writer_life import living
from registry.errors import BundleInvalid, DigestMismatch
from registry.oci.digest import Digest

WAIT = 60.0  # seconds to wait for a download or an import that writes the same blob
OWNER = "an import"  # no name of a registry: the partial file is beside that of a download


@dataclass(frozen=True, slots=True)
class Waiting:
    """A blob of `size` bytes that is cut over volumes; `missing` bytes of it are not stored yet."""

    digest: Digest
    missing: int
    size: int


@dataclass(slots=True)
class LoadedBlobs:
    """The result of loading the blobs of a bundle.

    `new` bytes were stored, and `known` bytes were stored before, both including parts of blobs.
    `damaged` has the names and places of files whose bytes do not agree with the digest. `waiting`
    are blobs of which only some parts are stored.
    """

    new: int = 0
    known: int = 0
    damaged: dict[Digest, str] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)


class BlobLoader:
    """Stores the blobs of one bundle; while one blob is synced, the next is already being read."""

    def __init__(
        self, content: Content, known: AbstractSet[Digest], report: Callable[[int], None]
    ) -> None:
        """Make the loader in the task that will use it.

        `known` are the blobs that were stored before; only these are looked up in the store.
        `report` is called with each number of bytes that were read or skipped, in any thread.
        """
        self._content = content
        self._known = known
        self._report = report
        self._task = asyncio.current_task()
        self._committing: asyncio.Task[None] | None = None
        self.result = LoadedBlobs()

    async def load(self, source: BundleSource, member: BlobMember) -> None:
        """Store a blob if it is not stored yet; if it is damaged, note that in the result.

        Raises:
            StoreError: the disk refused, or there is too little space; bytes that were written
                stay.
        """
        digest = member.digest
        ingest = None
        if digest not in self._known or not await self._is_here(digest, member.size):
            ingest = await self._content.wait_for_ingest(digest, WAIT, OWNER)
        if ingest is None:
            self.result.known += member.size
            self._report(member.size)
            return
        try:
            async with living(ingest):
                resumed = await self._copy(source, member, ingest)
                await self.finish()
        except BundleInvalid as error:
            self._note_damage(digest, member.name, format_place(source, member))
            await ingest.suspend()
            source.flaws.note(error)
            return
        except BaseException:
            await ingest.suspend()
            raise
        self._committing = asyncio.create_task(self._commit(ingest, member, source, resumed))

    async def finish(self) -> None:
        """Wait until all blobs that were loaded are durable.

        Raises:
            StoreError: the disk refused.
        """
        committing, self._committing = self._committing, None
        if committing is not None:
            await committing

    async def _is_here(self, digest: Digest, size: int) -> bool:
        """Whether the blob is stored.

        A stored file that does not have `size` bytes must have the recorded size; otherwise it is
        moved to quarantine.
        """
        found = await self._content.blobs.stat(digest)
        if found is None or found == size:
            return found == size
        return await self._content.check_size(digest, found)

    def _note_damage(self, digest: Digest, name: str, place: str) -> None:
        former = self.result.damaged.get(digest)
        where = f"{name} in {place}"
        self.result.damaged[digest] = f"{former}, {where}" if former else where

    async def _commit(
        self, ingest: Ingest, member: BlobMember, source: BundleSource, resumed: int
    ) -> None:
        async with ingest, living(ingest):
            try:
                await ingest.commit()
                self.result.new += member.size - resumed
                self.result.known += resumed
            except DigestMismatch:
                self._note_damage(ingest.digest, member.name, format_place(source, member))

    async def load_parts(self, parts: Sequence[CutPart]) -> None:
        """Store parts of one blob, in any order; the last missing part completes the blob.

        Raises:
            StoreError: the disk refused, or there is too little space; bytes that were written
                stay.
        """
        await self.finish()
        digest, whole = parts[0].member.digest, parts[0].part.whole
        ingest = None
        if digest not in self._known or not await self._is_here(digest, whole):
            ingest = await self._content.wait_for_parts(digest, whole, WAIT)
        if ingest is None:
            size = sum(each.part.size for each in parts)
            self.result.known += size
            self._report(size)
            return
        async with ingest, living(ingest):
            try:
                new = await self._add(parts, ingest)
                if ingest.missing:
                    self.result.waiting.append(Waiting(digest, ingest.missing, whole))
                else:
                    await ingest.commit()
                self.result.new += new
            except DigestMismatch:
                why = "the volumes that its parts came from: import all of them again"
                self._note_damage(digest, format_blob_name(digest), why)

    async def _add(self, parts: Sequence[CutPart], ingest: SparseIngest) -> int:
        """Store the parts that are not damaged; return how many bytes of them were missing."""
        new = 0
        for each in parts:
            pieces, part = self._read(each.source, each.member), each.part
            try:
                count = await ingest.add(part.start, part.digest, pieces)
                new += count
                self.result.known += part.size - count
            except DigestMismatch:
                self._note_damage(ingest.digest, each.member.name, each.source.label)
            except BundleInvalid as error:
                self._note_damage(ingest.digest, each.member.name, each.source.label)
                each.source.flaws.note(error)
        return new

    async def _copy(self, source: BundleSource, member: BlobMember, ingest: Ingest) -> int:
        """Append the bytes of a blob that no earlier import has written; return how many it has."""
        resumed = await ingest.resume(member.size)
        await ingest.append(_skip(self._read(source, member), resumed), member.size)
        if resumed and not ingest.is_complete and source.locate(member):
            # After a crash of the machine the earlier bytes may be wrong: write all of it again.
            await ingest.restart()
            await ingest.append(source.read(member), member.size)
            return 0
        return resumed

    def _read(self, source: BundleSource, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file; end early if the import is cancelled while a thread reads."""
        for piece in source.read(member):
            if self._task is not None and self._task.cancelling():
                return
            yield piece
            self._report(len(piece))


def _skip(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Yield the pieces without the first `count` bytes of all; no yielded piece is empty."""
    for piece in pieces:
        rest, count = piece[count:], max(0, count - len(piece))
        if rest:
            yield rest
