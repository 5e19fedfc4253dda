"""Signs of life: one number per worker in memory that all processes share."""

import mmap
import struct
import time

_BEAT = struct.Struct("d")
INTERVAL = 1.0  # seconds between two beats of a worker
DEAD = 5.0  # seconds of silence after which its event loop counts as stuck or gone


class Heartbeats:
    """Made before forking; every process then sees the same numbers."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._memory = mmap.mmap(-1, _BEAT.size * count)

    def beat(self, number: int) -> None:
        """Say that worker `number` is alive."""
        _BEAT.pack_into(self._memory, _BEAT.size * number, time.monotonic())

    def count_living(self) -> int:
        """Return how many workers have beaten lately."""
        now = time.monotonic()
        beats = _BEAT.iter_unpack(self._memory[: _BEAT.size * self._count])
        return sum(0 <= now - beat < DEAD for (beat,) in beats if beat)
