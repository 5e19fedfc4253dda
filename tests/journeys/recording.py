"""A folder in which traced processes record their calls, and read which journey is running."""

import json
import os
import re
import struct
import time
from collections.abc import Callable, Collection
from mmap import mmap
from pathlib import Path
from typing import Any

from tests.harness.deadline import await_truth
from tests.journeys.tracer import Call, Place

NUMBER = struct.Struct("I")
DIGEST = re.compile("[0-9a-f]{64}")
STILL = 0.5  # seconds without a call after which a journey is over


class Recording:
    """The folder. The traced program uses `number` and `record`; the tests use the rest."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        page = folder / "number"
        if not page.exists():
            page.write_bytes(NUMBER.pack(0))
        with page.open("r+b") as file:
            self._page = mmap(file.fileno(), NUMBER.size)
        self._files: dict[int, int] = {}

    def number(self) -> int:
        """The number of the journey; 0 while nothing is counted."""
        return int(NUMBER.unpack_from(self._page)[0])

    def record(self, number: int, call: Call) -> None:
        """Append a call to the file of this process, in one write."""
        caller = (call.caller.path, call.caller.name) if call.caller else None
        digest = DIGEST.search(call.argument)
        fields = [
            number,
            call.depth,
            caller,
            (call.callee.path, call.callee.name),
            digest[0] if digest else "",
            call.is_in_loop,
        ]
        os.write(self._open_file(os.getpid()), json.dumps(fields).encode() + b"\n")

    def _open_file(self, pid: int) -> int:
        if pid not in self._files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._files[pid] = os.open(self.folder / f"{pid}.calls", flags, 0o600)
        return self._files[pid]

    def begin(self) -> int:
        """End the journey, begin the next one, and return its number."""
        NUMBER.pack_into(self._page, 0, self.number() + 1)
        return self.number()

    def await_stillness(self, pids: Collection[int], seconds: float) -> None:
        """Wait until none of these processes has recorded a call for some time."""
        self._await_same(lambda: [path.stat().st_size for path in self._list_files(pids)], seconds)

    def await_no_news(self, pids: Collection[int], number: int, seconds: float) -> None:
        """Wait until each process has recorded a call, and then no new kind for some time."""
        await_truth(lambda: all(self.read(number, [pid]) for pid in pids))
        self._await_same(lambda: len(set(self.read(number, pids))), seconds)

    def _await_same(self, look: Callable[[], object], seconds: float) -> None:
        seen: Any = look()
        since = time.monotonic()

        def is_same() -> bool:
            nonlocal seen, since
            if (found := look()) != seen:
                seen, since = found, time.monotonic()
            return time.monotonic() - since > seconds

        await_truth(is_same)

    def _list_files(self, pids: Collection[int] | None) -> list[Path]:
        paths = sorted(self.folder.glob("*.calls"))
        return [path for path in paths if pids is None or int(path.stem) in pids]

    def read(self, number: int, pids: Collection[int] | None = None) -> list[Call]:
        """Return the calls of a journey, process by process; of all processes without `pids`."""
        return [
            _parse(fields)
            for path in self._list_files(pids)
            for fields in map(json.loads, _read_lines(path))
            if fields[0] == number
        ]


def _read_lines(path: Path) -> list[str]:
    """Return the whole lines of a file; another process may be writing the last one."""
    return path.read_text().rpartition("\n")[0].splitlines()


def _parse(fields: list[Any]) -> Call:
    _, depth, caller, callee, digest, is_in_loop = fields
    return Call(depth, Place(*caller) if caller else None, Place(*callee), digest, is_in_loop)
