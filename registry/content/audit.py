"""The audit: reads every stored blob, and corrects the catalog where it differs from the disk."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from registry.catalog.audits import AuditCatalog, Pass
from registry.catalog.usage import UsageCatalog
from registry.content.rebuild import Rebuild
from registry.content.space import Space
from registry.errors import StoreError
from registry.logs import get_logger
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.contract import BlobReader

# The auditors by their names in the catalog; version 0.1 wrote the name of the background process.
COMMAND, BACKGROUND = "command", "steward"
INTERVAL = 7 * 86_400.0  # seconds between the beginnings of two passes in the background
STRIDE = 64 * 1024 * 1024  # bytes after which the position of a pass is recorded
NAME_WAIT = 1.0  # seconds that a process takes at most to record or remove an image
PAGE = 1000  # rows read at a time when files are looked for


@dataclass(slots=True)
class Findings:
    """What an audit found: `checked` blobs of `size` bytes in all, and what was wrong.

    `damaged` blobs did not agree with their digests, and are in quarantine now. `unknown` blobs
    were on disk without a record, and are recorded now. `missing` blobs were recorded and not on
    disk; their records were removed. `names` is the number of tags and digests that were on disk
    without a record, and are recorded now. `unread` blobs could not be read, and are in quarantine.
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
    """Checks all stored blobs; the command and the background process each have their own pass."""

    def __init__(
        self,
        audits: AuditCatalog,
        catalog: UsageCatalog,
        store: BlobReader,
        space: Space,
        rebuild: Rebuild,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._audits = audits
        self._catalog = catalog
        self._store = store
        self._space = space
        self._rebuild = rebuild
        self._clock = clock
        self._log = get_logger("registry.content")

    def is_due(self, auditor: str) -> bool:
        """Whether the last pass has not ended, or began at least `INTERVAL` seconds ago.

        If it began so far in the future, the clock was wrong then, and a pass is due too.
        """
        last = self._audits.find(auditor)
        return not last.ended or abs(self._clock() - last.began) >= INTERVAL

    async def go_on(
        self,
        auditor: str,
        *,
        rate: float = math.inf,
        is_new: bool = False,
        report: Callable[[Digest, int], None] = lambda _, __: None,
    ) -> Findings:
        """Continue the pass of `auditor` (`COMMAND` or `BACKGROUND`).

        A new pass begins if the last pass has ended, or if `is_new`. The catalog is checked first.
        The audit reads at most `rate` bytes a second, and calls `report` with each blob and its
        size.

        Raises:
            StoreError, OSError: the catalog or the disk refused. One unreadable blob is not an
                error.
        """
        state = self._audits.find(auditor)
        if state.ended or not state.began or is_new:
            state = Pass("", self._clock(), 0.0)
        await self._audits.check()
        await self._space.finish_interrupted()  # or files that a crash left would count as unknown
        findings = Findings()
        pace = _Pace(rate)
        since = 0
        async for digest, size in self._store.scan(state.position):
            await self._check(digest, size, pace, findings)
            report(digest, size)
            since += size
            if since >= STRIDE:
                state, since = replace(state, position=str(digest)), 0
                await self._audits.record(auditor, state)
        await self._drop_missing(findings)
        findings.names = (await self._rebuild.adopt_names(wait=NAME_WAIT)).names
        await self._audits.record(auditor, replace(state, position="", ended=self._clock()))
        self._report(auditor, findings)
        return findings

    async def _check(self, digest: Digest, size: int, pace: "_Pace", findings: Findings) -> None:
        try:
            is_right = await self._is_right(digest, size, pace)
        except StoreError as error:
            if await self._store.stat(digest) is not None:  # if None, it was just evicted
                findings.unread.append(digest)
                await self._space.quarantine(digest, str(error))
            return
        findings.checked += 1
        findings.size += size
        # Read the blob again: it may have been replaced by a new download while it was read.
        if not is_right and not await self._is_right(digest, size, pace):
            findings.damaged.append(digest)
            await self._space.quarantine(digest, "its bytes have changed on disk")
            return
        if self._catalog.find_size(digest) is None:
            await self._adopt(digest, size, findings)

    async def _adopt(self, digest: Digest, size: int, findings: Findings) -> None:
        now = self._clock()
        if not await self._catalog.record_found(digest, size, now):
            return  # it is being downloaded or deleted at the moment
        if await self._store.stat(digest) is None:
            await self._catalog.drop(digest, now)  # deleted after it was read
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
        log = self._log.info if findings.is_clean else self._log.warning
        log(
            "audit ended",
            auditor="background" if auditor == BACKGROUND else auditor,
            blobs=findings.checked,
            bytes=findings.size,
            damaged=len(findings.damaged),
            unknown=len(findings.unknown),
            missing=len(findings.missing),
            unreadable=len(findings.unread),
            recovered_names=findings.names,
        )


class _Pace:
    """Slows reading down to `rate` bytes a second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.time()

    async def keep(self, size: int) -> None:
        """Wait as long as reading `size` bytes may take at this rate."""
        if self._rate == math.inf:
            return
        now = self._loop.time()
        self._next = max(now, self._next) + size / self._rate
        await asyncio.sleep(self._next - now)
