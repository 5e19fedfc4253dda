"""When each upstream last gave no answer: in memory that all workers share."""

import mmap
import struct
import zlib

_TIME = struct.Struct("d")
_PLACES = 65_536  # so many that two upstreams hardly share one; memory is used only where written


class Outages:
    """Times (epoch seconds) by upstream, in memory that forks share; 0 if it has answered since."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _TIME.size * _PLACES)

    def begin(self, registry: str, now: float) -> None:
        """Note that an upstream gave no answer at `now`."""
        _TIME.pack_into(self._memory, _place(registry), now)

    def end(self, registry: str) -> None:
        """Note that an upstream answers."""
        if self.find(registry):
            _TIME.pack_into(self._memory, _place(registry), 0.0)

    def find(self, registry: str) -> float:
        """Return when an upstream last gave no answer; 0 if it has answered since."""
        return float(_TIME.unpack_from(self._memory, _place(registry))[0])


def _place(registry: str) -> int:
    return _TIME.size * (zlib.crc32(registry.encode()) % _PLACES)
