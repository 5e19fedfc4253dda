"""Collects what is recorded of answers, and writes it once a second.

An answer costs one change in a dictionary: the answers of one second with the same facts are one
line. What cannot be written is lost, and counted; no pull waits for its record.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from registry.access.record_files import Appended, RecordFiles
from registry.access.records import (
    FIRST_ERROR,
    AccessRecord,
    AnswerFacts,
    RecordGroup,
    format_record,
)
from registry.logs import get_logger
from registry.tasks import in_thread

PERIOD = 1.0  # seconds between two writes
# Lines that wait to be written, if the disk does not keep up; about 20 MiB. Those that anybody can
# make (`RecordGroup`) are at most half of them.
MOST_LINES = 20_000
MOST_FAILED_NAMES = 1000  # of one second; a client may ask for a new name each time
_TOO_SLOW = "the disk does not keep up"

_Key = tuple[int, str, AnswerFacts]  # the second, the client, the facts


class RecordCollector:
    """The records of one worker that are not written yet."""

    def __init__(
        self,
        files: Mapping[RecordGroup, RecordFiles],
        note_lost: Callable[[int], None],
        clock: Callable[[], float] = time.time,
        *,
        note_use: Callable[[str], None] | None = None,
    ) -> None:
        """`files` has those of each group.

        `note_lost` is told how many answers are not recorded, and `note_use` who has asked.
        """
        self._files = files
        self._note_lost = note_lost
        self._clock = clock
        self._note_use = note_use
        self._totals: dict[_Key, list[int]] = {}  # how many answers, how many bytes
        self._failed_names: Counter[tuple[int, RecordGroup]] = Counter()  # by the second
        self._lost = 0  # since the last write that succeeded
        self._log = get_logger("registry.access")

    def prepare(self, facts: AnswerFacts) -> "AnswerRecorder":
        """Return what records answers with these facts."""
        return AnswerRecorder(self, facts)

    def add(self, facts: AnswerFacts, client: str | None, count: int, size: int) -> list[int]:
        """Note `count` answers that end now, with `size` bytes together.

        `client` is what is kept of its address. Returns the total of the line, which is empty after
        the line was written, or if there is none.
        """
        key = self._limit_names((self.find_second(), client or "", facts))
        total = self._totals.get(key)
        if total is None:
            most = MOST_LINES if facts.group is RecordGroup.ACCESS else MOST_LINES // 2
            if len(self._totals) >= most:
                self._lose(count, _TOO_SLOW)
                return []
            total = self._totals[key] = [0, 0]
        total[0] += count
        total[1] += size
        return total

    def find_second(self) -> int:
        """Return the second that it is, in epoch seconds."""
        return int(self._clock())

    def _limit_names(self, key: _Key) -> _Key:
        """Return the key without names, if too many names have failed in its second."""
        second, client, facts = key
        if facts.status < FIRST_ERROR or key in self._totals:
            return key
        names = second, facts.group
        self._failed_names[names] += 1
        if self._failed_names[names] <= MOST_FAILED_NAMES:
            return key
        return second, client, replace(facts, repository="", reference="")

    async def keep_writing(self) -> None:
        """Write what was noted once a second until cancelled, and all of it at the end."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                await self.write()
        finally:
            await self.write(is_end=True)

    async def write(self, *, is_end: bool = False) -> None:
        """Write the records of the seconds that are over; at the end also of this one."""
        now = int(self._clock())
        over = [key for key in self._totals if is_end or key[0] != now]
        records = [AccessRecord(*key, *self._totals[key]) for key in over]
        for key in over:
            self._totals.pop(key).clear()
            if key[2].user and self._note_use is not None:
                self._note_use(key[2].user)
        for names in [each for each in self._failed_names if is_end or each[0] != now]:
            del self._failed_names[names]
        if not records:
            return
        # In one call, which is not cut in two if this process is to end meanwhile.
        refused = await in_thread(self._append, records)
        for why, count in refused:
            self._lose(count, why)
        if self._lost and not refused:
            self._log.warning("access records are written again", lost=self._lost)
            self._lost = 0

    def _append(self, records: Sequence[AccessRecord]) -> list[tuple[str, int]]:
        """Append records to their files; return why some could not be, and how many answers."""
        refused = []
        for group, files in self._files.items():
            part = [each for each in records if each.facts.group is group]
            done = files.append([format_record(each) for each in part]) if part else Appended(0)
            if done.why:
                refused.append((done.why, sum(each.count for each in part[done.lines :])))
        return refused

    def _lose(self, count: int, why: str) -> None:
        if not self._lost:
            self._log.error("access records not written", why=why)
        self._lost += count
        self._note_lost(count)


class AnswerRecorder:
    """Records answers with the same facts; most go to the same client in the same second.

    For these, neither the facts are hashed nor the line is searched for.
    """

    __slots__ = ("_client", "_collector", "_facts", "_second", "_total")

    def __init__(self, collector: RecordCollector, facts: AnswerFacts) -> None:
        self._collector = collector
        self._facts = facts
        self._client: str | None = None
        self._second = 0
        self._total: list[int] = []

    def add(self, client: str | None, count: int, size: int) -> None:
        """Note `count` answers that end now, with `size` bytes together.

        `client` is what is kept of its address.
        """
        second, total = self._collector.find_second(), self._total
        if total and second == self._second and client == self._client:
            total[0] += count
            total[1] += size
            return
        self._second, self._client = second, client
        self._total = self._collector.add(self._facts, client, count, size)
