"""How many clients wait for each download, told to the processes that show it.

Only a worker knows its clients, and processes send each other no messages. So each worker whose
clients follow downloads writes a small file once a second.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping

from registry.store.demand_files import DemandFiles
from registry.tasks import in_thread

INTERVAL = 1.0  # seconds; a file counts for twice as long


class WaitingClients:
    """Tells others how many clients of this process wait, as `count` says by partial file."""

    def __init__(self, files: DemandFiles, count: Callable[[], Mapping[str, int]]) -> None:
        self._files = files
        self._count = count
        self._is_told = False

    async def keep_telling(self) -> None:
        """Tell it once a second, until cancelled."""
        try:
            while True:
                await self._tell()
                await asyncio.sleep(INTERVAL)
        except asyncio.CancelledError:
            self._files.withdraw()  # the process ends, and must not wait for a thread
            raise

    async def _tell(self) -> None:
        counts = {part: number for part, number in self._count().items() if number}
        if counts:
            self._is_told = True
            await in_thread(self._files.tell, json.dumps(counts).encode())
        elif self._is_told:
            self._is_told = False
            await in_thread(self._files.withdraw)


def add_up(told: Iterable[bytes]) -> dict[str, int]:
    """Return how many clients wait for each partial file, of what all processes have told. Pure."""
    found: dict[str, int] = {}
    for each in told:
        for part, number in _parse(each).items():
            found[part] = found.get(part, 0) + number
    return found


def _parse(told: bytes) -> dict[str, int]:
    try:
        return {str(part): max(0, int(number)) for part, number in json.loads(told).items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}  # written by another version
