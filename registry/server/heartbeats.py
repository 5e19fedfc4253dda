"""A page of memory that all processes share: when each worker last beat, and its connections."""

import mmap
import struct
import time

_TIME = struct.Struct("d")  # time and load are written separately, so neither overwrites the other
_LOAD = struct.Struct("q")
_BEAT = struct.Struct("dq")
INTERVAL = 1.0  # seconds between two beats of a worker
SLACK = 2  # connections that a worker may have more than another without being ahead
DEAD = 5.0  # seconds without a beat after which a worker counts as stuck or dead


class Heartbeats:
    """Heartbeats and numbers of connections of `count` workers, in memory that forks share."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._memory = mmap.mmap(-1, _BEAT.size * count)

    def beat(self, number: int) -> None:
        """Note that worker `number` is alive."""
        _TIME.pack_into(self._memory, _BEAT.size * number, time.monotonic())

    def set_connections(self, number: int, connections: int) -> None:
        """Note how many connections worker `number` has."""
        _LOAD.pack_into(self._memory, _BEAT.size * number + _TIME.size, connections)

    def is_ahead(self, number: int) -> bool:
        """Whether another living worker has considerably fewer connections than worker `number`."""
        beats = self._read()
        own = beats[number][1]
        return any(own > SLACK + other * 5 // 4 for other in self._living(beats))

    def count_living(self) -> int:
        """Return how many workers have beaten within the last `DEAD` seconds."""
        return len(self._living(self._read()))

    def was_ever_alive(self) -> bool:
        """Whether any worker has ever beaten."""
        return any(beat for beat, _ in self._read())

    def _read(self) -> list[tuple[float, int]]:
        return list(_BEAT.iter_unpack(self._memory[: _BEAT.size * self._count]))

    def _living(self, beats: list[tuple[float, int]]) -> list[int]:
        """Return the number of connections of each living worker."""
        now = time.monotonic()
        return [load for beat, load in beats if beat and 0 <= now - beat < DEAD]
