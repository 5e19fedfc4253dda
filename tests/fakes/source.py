"""An upstream in memory: a `Source` whose bytes are sent when a test allows it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from registry.errors import (
    BlobUnknown,
    ManifestUnknown,
    NameUnknown,
    ReferrersUnsupported,
    UpstreamUnproven,
    UpstreamUnreachable,
)
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Tag
from registry.upstream.contract import Chunk, Fallback, TagAnswer, UpstreamList
from registry.upstream.pacing import Pace
from registry.upstream.range_sender import Sender

ORIGIN = "https://memory.example"
CHUNK = 64 * 1024  # bytes yielded at a time at most
FLIPPED = bytes(byte ^ 0xFF for byte in range(256))


class Tap:
    """Controls the bytes of all transfers; a transfer without an allowance stalls.

    `allowance` is how many more bytes may be sent (None: all). `is_lying` inverts every byte.
    `ends_early` lets a transfer without a known size end before its last byte. `given` counts the
    bytes that transfers have yielded.
    """

    def __init__(self) -> None:
        self.allowance: int | None = None
        self.is_lying = False
        self.ends_early = False
        self.has_ranges = True
        self.needs_proof = False
        self.tells_size = True
        self.is_down = False
        self.given = 0
        self._cuts = 0
        self._change = asyncio.Event()

    def give(self, count: int) -> None:
        """Allow `count` more bytes, after which transfers stall."""
        self.allowance = (self.allowance or 0) + count
        self.stir()

    def flow(self) -> None:
        """Allow all bytes from now on."""
        self.allowance = None
        self.stir()

    def cut(self) -> None:
        """Let every running transfer fail, as if its connection broke."""
        self._cuts += 1
        self.stir()

    def stir(self) -> None:
        """Wake the transfers after a change of an attribute."""
        self._change.set()
        self._change = asyncio.Event()

    async def draw(self, cuts: int, wanted: int) -> int:
        """Wait until bytes may be sent, and return how many (at most `wanted`); 0 ends early."""
        while True:
            if cuts != self._cuts or self.is_down:
                raise UpstreamUnreachable(ORIGIN, "the connection was cut")
            if self.ends_early and not self.tells_size:
                return 0
            count = min(wanted, CHUNK if self.allowance is None else self.allowance)
            if count:
                break
            await self._change.wait()
        if self.allowance is not None:
            self.allowance -= count
        self.given += count
        return count

    @property
    def cuts(self) -> int:
        """How many times `cut` was called; a transfer that began before the last call fails."""
        return self._cuts

    def spoil(self, chunk: bytes) -> bytes:
        """Return a chunk as it is sent, which is inverted if `is_lying`."""
        return chunk.translate(FLIPPED) if self.is_lying else chunk


class MemoryTransfer:
    """A `BlobDownload` of bytes in memory; `content` None is a blob that does not exist."""

    def __init__(self, tap: Tap, content: bytes | None, absent: BlobUnknown, size: int | None):
        self.size = size
        self.endpoint = ""
        self.has_ranges: bool | None = None
        self.suspects: Sequence[str] = ()
        self.is_proof_required = False
        self._tap = tap
        self._content = content
        self._absent = absent

    async def stream(
        self, start: int, stop: int | None, *, may_extend: bool = False
    ) -> AsyncGenerator[bytes, None]:
        if self._tap.is_down:
            raise UpstreamUnreachable(ORIGIN, "no connection")
        if self.is_proof_required and self._tap.needs_proof:
            raise UpstreamUnproven("memory")
        if self._content is None:
            raise self._absent
        whole = len(self._content)
        is_ranged = (start, stop if stop is not None else whole) != (0, whole)
        stop = whole if stop is None or (may_extend and not self._tap.has_ranges) else stop
        cuts, offset = self._tap.cuts, start
        while offset < stop:
            count = await self._tap.draw(cuts, stop - offset)
            if not count:
                return
            self.endpoint = ORIGIN
            self.has_ranges = self._tap.has_ranges if is_ranged else self.has_ranges
            if self._tap.tells_size:
                self.size = whole
            yield self._tap.spoil(self._content[offset : offset + count])
            offset += count

    def list_senders(self) -> list[Sender]:
        return [Sender(0, ORIGIN)]

    async def read_range(self, sender: Sender, span: Span) -> AsyncGenerator[bytes, None]:
        async with aclosing(self.stream(span.start, span.stop)) as chunks:
            async for chunk in chunks:
                yield chunk

    def receive(
        self,
        start: int,
        stop: int | None,
        *,
        may_extend: bool = False,
        in_thread: Callable[[], bool],
    ) -> AsyncGenerator[Chunk, None]:
        return self.stream(start, stop, may_extend=may_extend)

    def mark_suspect(self, *origins: str) -> Sequence[str]:
        self.is_accused = True
        return origins or (ORIGIN,)

    def mark_right(self) -> None:
        self.is_right = True

    def mark_wrong(self, origin: str) -> None:
        self.is_accused = True

    def acquit(self, *origins: str) -> None:
        self.is_accused = False

    def exclude(self, origins: Collection[str]) -> bool:
        return ORIGIN not in origins

    def needs_proof(self, origins: Iterable[str]) -> bool:
        return self._tap.needs_proof

    def require_proof(self, *, or_marked: bool = False) -> None:
        self.is_proof_required = True


@dataclass
class MemorySource:
    """Implements `Source`; a test fills the dictionaries, and uses the `Tap`."""

    tap: Tap
    manifests: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    tags: dict[str, list[str]] = field(default_factory=dict)
    referrers: dict[tuple[str, str], list[dict[str, Any]]] | None = None
    warning: str = ""

    async def head_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Digest | None:
        return (await self.get_manifest(repository, reference)).digest

    async def resolve_tag(
        self, repository: str, tag: Tag, *, fallback: Fallback = Fallback.NONE
    ) -> TagAnswer:
        digest = await self.head_manifest(repository, tag, fallback=fallback)
        if digest is not None:
            return TagAnswer(digest, ORIGIN)
        manifest = await self.get_manifest(repository, tag, fallback=fallback)
        return TagAnswer(manifest.digest, ORIGIN, manifest=manifest)

    async def get_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Manifest:
        self._reach()
        found = self.manifests.get((repository, str(reference)))
        if found is None:
            raise ManifestUnknown(repository, str(reference))
        return found

    async def head_blob(self, repository: str, digest: Digest) -> int | None:
        self._reach()
        found = self.blobs.get((repository, str(digest)))
        if found is None:
            raise BlobUnknown(repository, str(digest))
        return len(found) if self.tap.tells_size else None

    def open_blob(
        self, repository: str, digest: Digest, size: int | None, *, pace: Pace | None = None
    ) -> MemoryTransfer:
        content = self.blobs.get((repository, str(digest)))
        return MemoryTransfer(self.tap, content, BlobUnknown(repository, str(digest)), size)

    def is_trial_due(self, repository: str) -> bool:
        return False

    def open_trial(self, repository: str, digest: Digest, size: int, *, pace: Pace) -> None: ...

    async def list_tags(
        self, repository: str, *, fallback: Fallback = Fallback.NONE
    ) -> UpstreamList:
        self._reach()
        if repository not in self.tags:
            raise NameUnknown(repository)
        return UpstreamList(sorted(self.tags[repository]), self.warning)

    async def list_referrers(
        self, repository: str, digest: Digest, *, fallback: Fallback = Fallback.NONE
    ) -> UpstreamList:
        self._reach()
        if self.referrers is None:
            raise ReferrersUnsupported(repository)
        return UpstreamList(self.referrers.get((repository, str(digest)), []))

    async def leads_back(self) -> bool:
        return False

    def _reach(self) -> None:
        if self.tap.is_down:
            raise UpstreamUnreachable(ORIGIN, "no connection")
