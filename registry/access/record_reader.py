"""Reads access records, the newest first, without more than a block of a file in memory."""

import heapq
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from registry.access.record_files import list_closed
from registry.access.records import LONGEST_LINE, AccessRecord, RecordGroup, parse_record

BLOCK = 64 * 1024  # bytes that are read at once
# After so many older records, all others of a file are older too: lines are in the order of their
# writing, which differs from that of the times by seconds, or by more after the clock was set.
ENOUGH_OLDER = 1000
_DAMAGED = b"?"  # stands for what is too long to be a line


class RecordReader:
    """Reads the records in a folder; `damaged` counts the lines that cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.damaged = 0

    def read(self, since: float) -> Iterator[AccessRecord]:
        """Return the records since a time in epoch seconds, the newest first.

        A server may append, rename and delete files meanwhile.

        Raises:
            OSError: the folder or a file cannot be read.
        """
        groups = [self._read_group(group, since) for group in RecordGroup]
        return heapq.merge(*groups, key=lambda record: -record.second)

    def _read_group(self, group: RecordGroup, since: float) -> Iterator[AccessRecord]:
        seen: set[tuple[int, int]] = set()
        for path in self._list_files(group, since):
            try:
                file = path.open("rb")
            except FileNotFoundError:  # nothing was recorded yet, or it was too old just now
                continue
            with file:
                known = os.fstat(file.fileno())
                if (known.st_dev, known.st_ino) not in seen:
                    seen.add((known.st_dev, known.st_ino))
                    yield from self._read_file(file, since)

    def _list_files(self, group: RecordGroup, since: float) -> Iterator[Path]:
        yield self._folder / f"{group.value}.jsonl"
        # Only now: if the current file is renamed while it is read, it is in the list too. If the
        # list were read first, it would be in none of both.
        for closed in reversed(list_closed(self._folder, group)):
            if closed.ended >= since:
                yield closed.path

    def _read_file(self, file: BinaryIO, since: float) -> Iterator[AccessRecord]:
        older = 0
        for line in read_backwards(file):
            if not line:
                continue
            try:
                record = parse_record(line)
            except ValueError:
                self.damaged += 1
                continue
            older = older + 1 if record.second < since else 0
            if older > ENOUGH_OLDER:
                return
            if not older:
                yield record


def read_backwards(file: BinaryIO, block: int = BLOCK) -> Iterator[bytes]:
    """Yield the lines of a file without their ends, the last one first.

    What follows the last end of a line is left out: it is being written. Of a line that is far too
    long, something is yielded that is no record.
    """
    position = file.seek(0, os.SEEK_END)
    rest, is_end = b"", True  # `rest` is the end of the line whose begin was not read yet
    while position:
        size = min(block, position)
        position -= size
        file.seek(position)
        rest, *lines = (file.read(size) + rest).split(b"\n")
        if lines and is_end:
            lines.pop()
            is_end = False
        yield from reversed(lines)
        if len(rest) > LONGEST_LINE:
            rest = _DAMAGED
    if not is_end:
        yield rest
