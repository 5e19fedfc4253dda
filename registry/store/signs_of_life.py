"""Signs of life between processes: who has given none for a time has stopped (record 0029).

A process that was stopped by a signal, or that waits for a disk, has not ended: it keeps its locks,
and its sockets stay open. The supervisor kills such a process after `SILENCE` seconds. Processes
that wait for a blob which it was writing then take the download over, and wait a little longer for
that.
"""

from collections.abc import Hashable
from dataclasses import dataclass

INTERVAL = 1.0  # seconds between two signs of life
SILENCE = 25.0  # seconds without a sign after which a process of the server is killed
WRITER_SILENCE = SILENCE + 3.0  # seconds without a sign after which nobody waits for a writer
_LONGEST_STEP = 5 * INTERVAL


@dataclass(slots=True)
class Silence:
    """For how long a sign of life has not changed."""

    seconds: float = 0.0
    _sign: Hashable = None
    _measured: float = 0.0

    def measure(self, sign: Hashable, now: float) -> float:
        """Note the sign that is seen at `now`, and return for how many seconds it has not changed.

        It has to be called about once in `INTERVAL` seconds. Of a longer time, only five intervals
        count: this process did not run either, as the container was paused or the machine slept.
        """
        if sign != self._sign:
            self.seconds = 0.0
        else:
            self.seconds += min(max(0.0, now - self._measured), _LONGEST_STEP)
        self._sign, self._measured = sign, now
        return self.seconds
