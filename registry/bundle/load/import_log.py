"""The order of the imports into a data folder: which bundle is older than another.

A bundle has no date, because the same images give the same bytes, and the date of an image says
when it was built, not when it was carried over. So the file `imports.json` lists the imported
bundles in the order of their last import. An import that would make a tag lead back to the image of
an older bundle is recognized by it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry.bundle.format.lock import Lock
from registry.store.file_locks import ExclusiveLocks
from registry.store.files import translate_errors, write_durably
from registry.store.small_files import parse_time, read_small_json
from registry.tasks import in_thread

MAX_RECORDS = 1000  # imports; a bundle a day for almost three years
_LOCK = "imports"


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """The last import of a bundle: its id, the time (epoch seconds), and what it requires.

    `requires` are the ids of the documents whose blobs the bundle omits; some of them are bundles.
    """

    bundle: str
    time: float
    requires: tuple[str, ...] = ()


class ImportLog:
    """Reads and writes `imports.json`."""

    def __init__(self, path: Path, locks: ExclusiveLocks, clock: Callable[[], float]) -> None:
        self._path = path
        self._locks = locks
        self._clock = clock

    async def read(self) -> list[ImportRecord]:
        """Return the last import of each bundle, in their order; none if the file is damaged."""
        return await in_thread(self._read)

    async def add(self, lock: Lock) -> None:
        """Record that a bundle is imported now; an earlier import of it is forgotten.

        Raises:
            StoreError: the disk refused, or another process has held the lock for too long.
        """
        record = ImportRecord(lock.bundle_id, self._clock(), lock.requires)
        async with self._locks.hold(_LOCK):
            records = [each for each in await self.read() if each.bundle != record.bundle]
            await in_thread(self._write, [*records, record][-MAX_RECORDS:])

    def _read(self) -> list[ImportRecord]:
        try:
            fields: Any = read_small_json(self._path)
            return [_parse(each) for each in fields]
        except (OSError, ValueError, TypeError, KeyError):
            return []

    def _write(self, records: Sequence[ImportRecord]) -> None:
        described = [asdict(each) for each in records]
        with translate_errors(self._path):
            write_durably(self._path, json.dumps(described, indent=1).encode())


def _parse(fields: Mapping[str, Any]) -> ImportRecord:
    requires = tuple(map(str, fields["requires"]))
    return ImportRecord(str(fields["bundle"]), parse_time(fields["time"]), requires)


def is_older(lock: Lock, former: str, checked: float, records: Sequence[ImportRecord]) -> bool:
    """Whether a bundle is older than what confirmed a tag at the time `checked`. Pure.

    `former` is the id of the bundle that confirmed it; it is empty for an upstream.

    A bundle that was never imported here is newer, unless the other one was made after it: a delta
    requires the bundles before it. Between two imported bundles the order of their imports decides;
    between a bundle and an upstream, the times.
    """
    order = {each.bundle: number for number, each in enumerate(records)}
    requires = {each.bundle: each.requires for each in records}
    requires[lock.bundle_id] = lock.requires
    if former and former in _list_earlier(lock.bundle_id, requires):
        return False
    if lock.bundle_id in _list_earlier(former, requires):
        return True
    if lock.bundle_id not in order:
        return False
    if former in order:
        return order[lock.bundle_id] < order[former]
    return records[order[lock.bundle_id]].time < checked


def _list_earlier(bundle: str, requires: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the ids of all documents that a bundle requires, and that those require."""
    found: set[str] = set()
    waiting = [bundle]
    while waiting:
        new = set(requires.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found
