"""Signs of life: when each worker last beat, and how much it carries, in memory all share."""

import mmap
import struct
import time

_TIME = struct.Struct("d")  # each alone, so that one is never written back with the other
_LOAD = struct.Struct("q")
_BEAT = struct.Struct("dq")
INTERVAL = 1.0  # seconds between two beats of a worker
SLACK = 2  # connections more than another that do not count as being ahead
DEAD = 5.0  # seconds of silence after which its event loop counts as stuck or gone


class Heartbeats:
    """Made before forking; every process then sees the same numbers."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._memory = mmap.mmap(-1, _BEAT.size * count)

    def beat(self, number: int) -> None:
        """Say that worker `number` is alive."""
        _TIME.pack_into(self._memory, _BEAT.size * number, time.monotonic())

    def carry(self, number: int, connections: int) -> None:
        """Say how many connections worker `number` has."""
        _LOAD.pack_into(self._memory, _BEAT.size * number + _TIME.size, connections)

    def is_ahead(self, number: int) -> bool:
        """Whether another living worker has clearly fewer connections than worker `number`."""
        beats = self._read()
        own = beats[number][1]
        return any(own > SLACK + carried * 5 // 4 for carried in self._living(beats))

    def count_living(self) -> int:
        """Return how many workers have beaten lately."""
        return len(self._living(self._read()))

    def was_ever_alive(self) -> bool:
        """Whether any worker has ever beaten."""
        return any(beat for beat, _ in self._read())

    def _read(self) -> list[tuple[float, int]]:
        return list(_BEAT.iter_unpack(self._memory[: _BEAT.size * self._count]))

    def _living(self, beats: list[tuple[float, int]]) -> list[int]:
        now = time.monotonic()
        return [carried for beat, carried in beats if beat and 0 <= now - beat < DEAD]
