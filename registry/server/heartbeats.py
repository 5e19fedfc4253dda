"""A page of memory that all processes share: when each process last beat, and its connections."""

import mmap
import struct
import time
from collections.abc import Collection, Mapping

BACKGROUND = -1  # the number of the background process; workers count from 0
REBUILD = -2  # the number of the process that makes a lost catalog again, while no other runs
_TIME = struct.Struct("d")  # time and load are written separately, so neither overwrites the other
_LOAD = struct.Struct("q")
_BEAT = struct.Struct("dq")
SLACK = 2  # connections that a worker may have more than another without being ahead
DEAD = 5.0  # seconds without a beat after which a process counts as stuck or dead


class Heartbeats:
    """Heartbeats and connections of all processes of a server, in memory that forks share."""

    def __init__(self, workers: int) -> None:
        """`workers` are from 0; there is also a place for `BACKGROUND` and one for `REBUILD`."""
        self._workers = workers
        self._memory = mmap.mmap(-1, _find_place(workers))

    def beat(self, number: int) -> None:
        """Note that process `number` is alive."""
        _TIME.pack_into(self._memory, _find_place(number), time.monotonic())

    def last_beat(self, number: int) -> float:
        """Return when process `number` last beat, in seconds of the monotonic clock; 0 if never."""
        beat: float = _TIME.unpack_from(self._memory, _find_place(number))[0]
        return beat

    def set_connections(self, number: int, connections: int) -> None:
        """Note how many connections worker `number` has."""
        _LOAD.pack_into(self._memory, _find_place(number) + _TIME.size, connections)

    def is_ahead(self, number: int) -> bool:
        """Whether another living worker has considerably fewer connections than worker `number`."""
        beats = self._read()
        own = beats[number][1]
        return any(own > SLACK + other * 5 // 4 for other in _find_living(beats).values())

    def list_living(self) -> Collection[int]:
        """Return the numbers of the workers that have beaten within the last `DEAD` seconds."""
        return _find_living(self._read()).keys()

    def list_silent(self) -> list[int]:
        """Return the numbers of workers that have beaten, but not in the last `DEAD` seconds.

        Their clients wait. A worker that has not started yet has no clients.
        """
        living = self.list_living()
        return [
            number
            for number in range(self._workers)
            if self.last_beat(number) and number not in living
        ]

    def was_ever_alive(self) -> bool:
        """Whether any worker has ever beaten."""
        return any(beat for beat, _ in self._read())

    def _read(self) -> list[tuple[float, int]]:
        """Return the last beat and the number of connections of each worker."""
        return list(_BEAT.iter_unpack(self._memory[_find_place(0) : _find_place(self._workers)]))


def _find_place(number: int) -> int:
    return _BEAT.size * (number - REBUILD)


def _find_living(beats: list[tuple[float, int]]) -> Mapping[int, int]:
    """Return the number of connections of each living worker, by its number."""
    now = time.monotonic()
    return {
        number: load for number, (beat, load) in enumerate(beats) if beat and 0 <= now - beat < DEAD
    }
