"""The audit: reads everything that is stored, and puts right what is not as it was recorded."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from registry.catalog.audits import AuditCatalog, Pass
from registry.catalog.usage import UsageCatalog
from registry.content.rebuild import Rebuild
from registry.content.space import SpaceKeeper
from registry.errors import StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import BlobStore

REST = 7 * 86_400.0  # seconds between the beginnings of two passes in the background
STRIDE = 64 * 1024 * 1024  # bytes after which it is written down how far a pass is
LULL = 1.0  # seconds in which whoever keeps or removes an image has done so
PAGE = 1000  # rows read at a time when files are looked for


@dataclass(slots=True)
class Findings:
    """What an audit found: `checked` blobs of `size` bytes in all, and what was wrong.

    `damaged` had other bytes than their names say, and were set aside; `unknown` were on disk and
    not recorded, and are now; `missing` were recorded and not on disk, and are recorded no more;
    `names` is how many tags and digests are known again; `unread` could not be read.
    """

    checked: int = 0
    size: int = 0
    names: int = 0
    damaged: list[Digest] = field(default_factory=list)
    unknown: list[Digest] = field(default_factory=list)
    missing: list[Digest] = field(default_factory=list)
    unread: list[Digest] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.names or self.damaged or self.unknown or self.missing or self.unread)


class Audit:
    """Passes over the store; several may be under way."""

    def __init__(
        self,
        audits: AuditCatalog,
        catalog: UsageCatalog,
        store: BlobStore,
        room: SpaceKeeper,
        recovery: Rebuild,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._audits = audits
        self._catalog = catalog
        self._store = store
        self._room = room
        self._recovery = recovery
        self._clock = clock
        self._log = structlog.get_logger("registry.mirror")

    def is_due(self, auditor: str) -> bool:
        """Whether a pass is under way, or the last one began long enough ago."""
        last = self._audits.find(auditor)
        return not last.ended or self._clock() - last.began >= REST

    async def go_on(
        self,
        auditor: str,
        *,
        rate: float = math.inf,
        is_new: bool = False,
        tell: Callable[[Digest, int], None] = lambda _, __: None,
    ) -> Findings:
        """Go on with the pass of `auditor`, or begin one where there is none or `is_new`.

        Reads at most `rate` bytes a second. Each blob looked at is told with its size in bytes.

        Raises:
            StoreError, OSError: the catalog or the disk refused more than one blob.
        """
        state = self._audits.find(auditor)
        if state.ended or not state.began or is_new:
            state = Pass("", self._clock(), 0.0)
        await self._room.finish_interrupted()  # else what crashes left would look like orphans
        findings = Findings()
        pace = _Pace(rate)
        since = 0
        async for digest, size in self._store.scan(state.position):
            await self._check(digest, size, pace, findings)
            tell(digest, size)
            since += size
            if since >= STRIDE:
                state, since = replace(state, position=str(digest)), 0
                await self._audits.record(auditor, state)
        await self._drop_missing(findings)
        findings.names = (await self._recovery.adopt_names(lull=LULL)).names
        await self._audits.record(auditor, replace(state, position="", ended=self._clock()))
        self._report(auditor, findings)
        return findings

    async def _check(self, digest: Digest, size: int, pace: "_Pace", findings: Findings) -> None:
        try:
            is_right = await self._is_right(digest, size, pace)
        except StoreError as error:
            if await self._store.stat(digest) is not None:  # else it was evicted meanwhile
                findings.unread.append(digest)
                await self._room.quarantine(digest, str(error))
            return
        findings.checked += 1
        findings.size += size
        # Again, from the beginning: it may have been noticed, and fetched again, while it was read.
        if not is_right and not await self._is_right(digest, size, pace):
            findings.damaged.append(digest)
            await self._room.quarantine(digest, "its bytes have changed on disk")
            return
        if self._catalog.find_size(digest) is None:
            await self._adopt(digest, size, findings)

    async def _adopt(self, digest: Digest, size: int, findings: Findings) -> None:
        now = self._clock()
        if not await self._catalog.record_found(digest, size, now):
            return  # it is arriving or going just now
        if await self._store.stat(digest) is None:
            await self._catalog.drop(digest, now)  # it has gone since we read it
        else:
            findings.unknown.append(digest)

    async def _is_right(self, digest: Digest, size: int, pace: "_Pace") -> bool:
        hasher = digest.hasher()
        async for piece in self._store.read(digest, Span(0, size)):
            hasher.update(piece)
            await pace.keep(len(piece))
        return hasher.hexdigest() == digest.encoded

    async def _drop_missing(self, findings: Findings) -> None:
        position = ""
        while page := self._catalog.list_after(position, PAGE):
            for digest, stored in page:
                if await self._store.stat(digest) is None and await self._catalog.drop(
                    digest, stored
                ):
                    findings.missing.append(digest)
            position = str(page[-1][0])
            await asyncio.sleep(0)

    def _report(self, auditor: str, findings: Findings) -> None:
        tell = self._log.info if findings.is_clean else self._log.warning
        tell(
            "audited",
            auditor=auditor,
            blobs=findings.checked,
            bytes=findings.size,
            damaged=len(findings.damaged),
            unknown=len(findings.unknown),
            missing=len(findings.missing),
            unread=len(findings.unread),
            names=findings.names,
        )


class _Pace:
    """Keeps reading to so many bytes a second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.time()

    async def keep(self, size: int) -> None:
        """Wait until `size` bytes more may have been read."""
        if self._rate == math.inf:
            return
        now = self._loop.time()
        self._next = max(now, self._next) + size / self._rate
        await asyncio.sleep(self._next - now)
