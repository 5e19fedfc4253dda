"""Repairing a blob with a wrong digest that several endpoints have sent (decision record 0032)."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from registry.content.ingest import Ingest
from registry.errors import DigestMismatch, StoreError, Unknown, UpstreamError
from registry.logs import get_logger
from registry.mirror.announcement import Announcement
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.rejected import RejectedBytes
from registry.tasks import in_thread
from registry.upstream.contract import BlobDownload
from registry.upstream.range_sender import Sender
from registry.upstream.sender_trace import SenderTrace

SAMPLE = 4 * 1024  # bytes
LEAST_UNIT = 512 * 1024  # bytes, of which one sample is compared at a time
MOST_UNITS = 2048  # of a blob
AT_ONCE = 4  # requests to each endpoint
WITHIN = 20.0  # seconds; who asks for the blob meanwhile waits, and clients wait for 30 s
MOST_OF_BLOB = 0.7  # part of the blob; to compare more costs as much as a new download
SHOWN = 5  # spans in the log


@dataclass(frozen=True, slots=True)
class WrongBytes:
    """The spans in which the endpoint at `origin` has sent wrong bytes."""

    origin: str
    spans: Sequence[Span]


async def judge(
    ingest: Ingest,
    download: BlobDownload,
    told: Announcement,
    *,
    on_reject: Callable[[], None],
    note: Callable[[int], None],
) -> None:
    """Note who has sent right and wrong bytes of a blob that is complete.

    If its digest is wrong, the wrong bytes are replaced if they are found among those of several
    endpoints. `on_reject` is called when readers can see that their bytes are wrong: the right ones
    come in another file. `note` is called with each number of bytes that are received.

    Raises:
        DigestMismatch: the wrong bytes were searched for, and not found.
        StoreError: the disk refused.
    """
    if not ingest.is_complete:
        are_known, size = await told.suspect(), ingest.offset
        if not await _repair(ingest, download, told.trace, on_reject, note):
            if are_known:
                download.mark_suspect()
            if not ingest.offset:  # the file with the wrong bytes is rejected already
                why = f"{size} bytes were received, and are wrong"
                raise DigestMismatch(str(ingest.digest), why)
            return
    download.mark_right()


async def _repair(
    ingest: Ingest,
    download: BlobDownload,
    trace: SenderTrace,
    on_reject: Callable[[], None],
    note: Callable[[int], None],
) -> bool:
    """Replace the wrong bytes of an ingest; return whether they were found."""
    senders = download.list_senders()
    if len(senders) < 2 or not ingest.offset == download.size == trace.stop:
        return False
    try:
        rejected = await ingest.begin_again()
    except StoreError:  # too little space for both files
        return False
    on_reject()
    began = time.monotonic()
    with rejected:
        search = _Search(ingest.digest, rejected, download, trace=trace, senders=senders, note=note)
        found = await search.run()
        if found is None:
            return False
        await ingest.append(rejected.pieces(found.spans), rejected.size)
    download.mark_wrong(found.origin)
    get_logger("registry.mirror").error(
        "wrong bytes replaced",
        blob=str(ingest.digest),
        endpoint=found.origin,
        ranges=[f"{span.start}-{span.stop - 1}" for span in found.spans[:SHOWN]],
        wrong=sum(span.length for span in found.spans),
        seconds=round(time.monotonic() - began, 2),
    )
    return True


class _Search:
    """Compares the bytes of each endpoint with those of the others, until the digest is right.

    Most lies are large, so samples are compared first. Then all bytes are, beginning with the
    endpoint that has sent the fewest.
    """

    def __init__(
        self,
        digest: Digest,
        rejected: RejectedBytes,
        download: BlobDownload,
        *,
        trace: SenderTrace,
        senders: Sequence[Sender],
        note: Callable[[int], None],
    ) -> None:
        self._digest = digest
        self._rejected = rejected
        self._download = download
        self._trace = trace
        self._senders = list(senders)
        self._note = note
        self._compared: dict[str, set[Span]] = {}  # by origin: the units that were compared whole
        self._differing: dict[str, set[Span]] = {}  # those of them that differ

    async def run(self) -> WrongBytes | None:
        """Return who has sent wrong bytes, and which; None if that was not found."""
        counts = self._trace.count()
        suspects = sorted(counts, key=counts.__getitem__)
        with suppress(TimeoutError):
            async with asyncio.timeout(WITHIN):
                for places in ((0.5,), (0.0, 1.0)):
                    for origin in suspects:
                        if await self._compare_samples(origin, places):
                            return self._describe(origin)
                suspects.sort(key=lambda each: not self._differing.get(each))
                for origin in suspects:
                    is_small = counts[origin] <= MOST_OF_BLOB * self._rejected.size
                    if is_small and await self._compare_all(origin):
                        return self._describe(origin)
        return None

    def _describe(self, origin: str) -> WrongBytes:
        return WrongBytes(origin, sorted(self._differing[origin]))

    async def _compare_samples(self, origin: str, places: Sequence[float]) -> bool:
        """Compare a part of each unit, then the units where one differs; see `_compare_units`."""
        samples = [(unit, _sample(unit, at)) for unit in self._list_units(origin) for at in places]
        differing = await self._find_differing(origin, samples, is_checked=True)
        return await self._compare_units(origin, differing)

    async def _compare_all(self, origin: str) -> bool:
        return await self._compare_units(origin, self._list_units(origin))

    async def _compare_units(self, origin: str, units: Iterable[Span]) -> bool:
        """Compare units; return whether the digest is right with the bytes of the others."""
        compared = self._compared.setdefault(origin, set())
        left = [unit for unit in sorted(units) if unit not in compared]
        differing = await self._find_differing(origin, [(unit, unit) for unit in left])
        compared.update(left)
        if not differing:
            return False
        found = self._differing.setdefault(origin, set())
        found.update(differing)
        return await in_thread(self._rejected.has_digest, self._digest, list(found))

    def _list_units(self, origin: str) -> list[Span]:
        length = max(LEAST_UNIT, self._rejected.size // MOST_UNITS)
        return [
            Span(start, min(start + length, span.stop))
            for span in self._trace.list_spans(origin)
            for start in range(span.start, span.stop, length)
        ]

    async def _find_differing(
        self, origin: str, wanted: Iterable[tuple[Span, Span]], *, is_checked: bool = False
    ) -> set[Span]:
        """Return the units that differ; `wanted` are pairs of a unit, and the part to compare.

        With `is_checked`, a third endpoint decides, if there is one: the one that was asked may be
        the one that sends wrong bytes.
        """
        queue, differing = deque(wanted), set[Span]()

        async def work(sender: Sender) -> None:
            while queue and not sender.is_excluded:
                unit, span = queue.popleft()
                try:
                    data = await self._read(sender, span)
                except (Unknown, UpstreamError):
                    sender.is_excluded = True
                    queue.append((unit, span))
                    return
                differs = await in_thread(self._rejected.put_beside, span.start, data)
                if differs and is_checked:
                    differs = await self._is_confirmed(origin, sender, span)
                if differs:
                    differing.add(unit)

        # More than once, as one that fails gives its work back after others have ended.
        while queue and (able := self._list_others(origin)):
            try:
                async with asyncio.TaskGroup() as group:
                    for sender in able * AT_ONCE:
                        group.create_task(work(sender))
            except ExceptionGroup as failures:  # the disk refused
                raise failures.exceptions[0] from failures
        return differing

    def _list_others(self, *origins: str) -> list[Sender]:
        return [
            each for each in self._senders if each.origin not in origins and not each.is_excluded
        ]

    async def _is_confirmed(self, origin: str, former: Sender, span: Span) -> bool:
        """Whether bytes also differ from those of a third endpoint, if one answers."""
        for sender in self._list_others(origin, former.origin):
            with suppress(Unknown, UpstreamError):
                data = await self._read(sender, span)
                return await in_thread(self._rejected.put_beside, span.start, data)
        return True

    async def _read(self, sender: Sender, span: Span) -> bytes:
        data = bytearray()
        async with aclosing(self._download.read_range(sender, span)) as chunks:
            async for chunk in chunks:
                self._note(len(chunk))
                data += chunk
        return bytes(data)


def _sample(unit: Span, place: float) -> Span:
    """Return the part of a unit to compare: at its start (0), in its middle, or at its end (1)."""
    length = min(SAMPLE, unit.length)
    start = unit.start + int((unit.length - length) * place)
    return Span(start, start + length)
