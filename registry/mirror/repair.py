"""Repairing a blob with a wrong digest that several endpoints have sent (decision record 0032)."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from itertools import chain, combinations, islice

from registry.content.ingest import Ingest
from registry.errors import Unknown, UpstreamError
from registry.logs import get_logger
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
WITHIN = 5.0  # seconds; who asks for the blob meanwhile waits, and then it is downloaded again
MOST_OF_BLOB = 0.7  # part of the blob; to compare more costs as much as a new download
MOST_CHOICES = 32  # of differing spans, for each of which the blob is hashed
SHOWN = 5  # spans in the log


# The spans in which endpoints have sent wrong bytes, by origin.
WrongBytes = Mapping[str, Sequence[Span]]


async def repair(
    ingest: Ingest,
    rejected: RejectedBytes,
    download: BlobDownload,
    trace: SenderTrace,
    *,
    senders: Sequence[Sender],
    note: Callable[[int], None],
) -> bool:
    """Replace wrong bytes, if they are found by comparing those of several endpoints.

    The bytes in `rejected` are copied into the ingest, which has begun again. `senders` may be
    asked for ranges, and `note` is called with each number of bytes that are received. Returns
    whether the blob is right now; otherwise nothing was copied.

    Raises:
        StoreError: the disk refused.
    """
    began = time.monotonic()
    search = _Search(ingest.digest, rejected, download, trace=trace, senders=senders, note=note)
    found = await search.run()
    if found is None:
        return False
    spans = [span for each in found.values() for span in each]
    await ingest.append(rejected.pieces(spans), rejected.size)
    for origin, wrong in found.items():
        if not any(trace.has_alone(origin, span) for span in wrong):
            download.mark_suspect(origin)  # its neighbour may have sent them
            continue
        download.mark_wrong(origin)
        get_logger("registry.mirror").error(
            "wrong bytes replaced",
            blob=str(ingest.digest),
            endpoint=origin,
            ranges=[f"{span.start}-{span.stop - 1}" for span in wrong[:SHOWN]],
            wrong=sum(span.length for span in wrong),
            seconds=round(time.monotonic() - began, 2),
        )
    return True


class _Search:
    """Compares the bytes of each endpoint with those of the others, until the digest is right.

    Most lies are large, so samples are compared first. Then all bytes are, beginning with the
    endpoint that has sent the fewest. Each unit is compared whole once at most.
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
        self._origins = frozenset(trace.count())  # who has sent bytes of the blob
        self._note = note
        self._compared: set[Span] = set()  # the units that were compared whole
        self._differing: dict[str, set[Span]] = {}  # those of them that differ, by origin
        self._doubted: set[str] = set()  # the endpoints that are asked only if there is no other

    async def run(self) -> WrongBytes | None:
        """Return who has sent wrong bytes, and which; None if that was not found."""
        counts = self._trace.count()
        suspects = sorted(counts, key=counts.__getitem__)
        with suppress(TimeoutError):
            async with asyncio.timeout(WITHIN):
                for places in ((0.5,), (0.0, 1.0)):
                    differing = {each: await self._sample(each, places) for each in suspects}
                    self._doubted.update(each for each in suspects if differing[each])
                    for origin, units in differing.items():
                        if found := await self._compare_units(origin, units, is_checked=False):
                            return found
                if found := await self._choose_runs():
                    return found
                suspects.sort(key=lambda each: not self._differing.get(each))
                for origin in suspects:
                    is_small = counts[origin] <= MOST_OF_BLOB * self._rejected.size
                    if is_small and (found := await self._compare_all(origin)):
                        return found
                return await self._choose_runs()
        return None

    async def _sample(self, origin: str, places: Sequence[float]) -> set[Span]:
        """Return the units of an endpoint of which a part differs."""
        samples = [(unit, _sample(unit, at)) for unit in self._list_units(origin) for at in places]
        return await self._find_differing(origin, samples, is_checked=True)

    async def _compare_all(self, origin: str) -> WrongBytes | None:
        return await self._compare_units(origin, self._list_units(origin), is_checked=True)

    async def _compare_units(
        self, origin: str, units: Iterable[Span], *, is_checked: bool
    ) -> WrongBytes | None:
        """Compare units; return whose bytes are wrong, if the digest is right without them.

        They are those of this origin, or of all origins together.
        """
        left = [unit for unit in sorted(units) if unit not in self._compared]
        differing = await self._find_differing(
            origin, [(unit, unit) for unit in left], is_checked=is_checked
        )
        self._compared.update(left)
        if not differing:
            return None
        self._differing.setdefault(origin, set()).update(differing)
        together = [[*self._differing]] if len(self._differing) > 1 else []
        for origins in ([origin], *together):
            wrong = {each: sorted(self._differing[each]) for each in origins}
            if await self._is_right_without(wrong):
                return wrong
        return None

    async def _choose_runs(self) -> WrongBytes | None:
        """Do without some of the differing runs of units, since others may be right.

        So it is if an endpoint that was asked sends wrong bytes elsewhere, and no third one was.
        """
        runs = [(each, run) for each in self._differing for run in _join(self._differing[each])]
        choices = chain.from_iterable(combinations(runs, n) for n in range(1, len(runs)))
        for choice in islice(choices, MOST_CHOICES):
            wrong: dict[str, list[Span]] = {}
            for origin, run in choice:
                wrong.setdefault(origin, []).append(run)
            if await self._is_right_without(wrong):
                return wrong
        return None

    async def _is_right_without(self, wrong: WrongBytes) -> bool:
        spans = [span for each in wrong.values() for span in each]
        return await in_thread(self._rejected.has_digest, self._digest, spans)

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
                    for sender in able:
                        # One that has sent nothing of this blob may not have it.
                        has_blob = sender.origin in self._origins
                        for _ in range(AT_ONCE if has_blob else 1):
                            group.create_task(work(sender))
            except ExceptionGroup as failures:  # the disk refused
                raise failures.exceptions[0] from failures
        return differing

    def _list_others(self, *origins: str) -> list[Sender]:
        """Return the other endpoints that answer; those that are not doubted, if there are some."""
        able = [
            each for each in self._senders if each.origin not in origins and not each.is_excluded
        ]
        return [each for each in able if each.origin not in self._doubted] or able

    async def _is_confirmed(self, origin: str, former: Sender, span: Span) -> bool:
        """Whether bytes also differ from those of a third endpoint, if one answers."""
        for sender in self._list_others(origin, former.origin):
            with suppress(Unknown, UpstreamError):
                data = await self._read(sender, span)
                differs = await in_thread(self._rejected.put_beside, span.start, data)
                if not differs:
                    self._doubted.add(former.origin)
                return differs
        return True

    async def _read(self, sender: Sender, span: Span) -> bytes:
        data = bytearray()
        async with aclosing(self._download.read_range(sender, span)) as chunks:
            async for chunk in chunks:
                self._note(len(chunk))
                data += chunk
        return bytes(data)


def _join(units: Iterable[Span]) -> list[Span]:
    """Return units as spans, in which neighbours are joined."""
    spans: list[Span] = []
    for unit in sorted(units):
        if spans and spans[-1].stop == unit.start:
            spans[-1] = Span(spans[-1].start, unit.stop)
        else:
            spans.append(unit)
    return spans


def _sample(unit: Span, place: float) -> Span:
    """Return the part of a unit to compare: at its start (0), in its middle, or at its end (1)."""
    length = min(SAMPLE, unit.length)
    start = unit.start + int((unit.length - length) * place)
    return Span(start, start + length)
