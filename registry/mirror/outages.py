"""When each upstream last gave no answer: in memory that all workers share."""

import mmap
import struct
import zlib

from registry.oci.names import Repository

_TIME = struct.Struct("d")
_PLACES = 65_536  # so many that two names hardly share one; memory is used only where written
_LAST = "last failed: "  # before a registry: the place of the repository that failed last there


class Outages:
    """Times (epoch seconds) at which upstreams gave no answer, in memory that forks share.

    A failure counts for one repository first, because a client may ask for what is broken again and
    again. It counts for the whole upstream if another repository failed before, and nothing was
    answered in between.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _TIME.size * _PLACES)

    def begin(self, repository: Repository, now: float, *, is_whole: bool = False) -> None:
        """Note that an upstream gave no answer at `now`; if `is_whole`, to no repository."""
        here, last = float(_place(str(repository))), _place(f"{_LAST}{repository.registry}")
        self._write(_place(str(repository)), now)
        if is_whole or self._read(last) not in (0.0, here):
            self._write(_place(repository.registry), now)
        self._write(last, here)

    def end(self, repository: Repository) -> None:
        """Note that an upstream answers."""
        for name in (str(repository), repository.registry, f"{_LAST}{repository.registry}"):
            if self._read(_place(name)):
                self._write(_place(name), 0.0)

    def find(self, repository: Repository) -> float:
        """Return when an upstream last gave no answer; 0 if it has answered since."""
        return max(self._read(_place(repository.registry)), self._read(_place(str(repository))))

    def find_whole(self, registry: str) -> float:
        """Return when an upstream last gave no answer to any repository; 0 if it answers."""
        return self._read(_place(registry))

    def _read(self, place: int) -> float:
        return float(_TIME.unpack_from(self._memory, place)[0])

    def _write(self, place: int, value: float) -> None:
        _TIME.pack_into(self._memory, place, value)


def _place(name: str) -> int:
    """Return the offset of a name; it is never 0, which means that nothing is noted."""
    return _TIME.size * (1 + zlib.crc32(name.encode()) % (_PLACES - 1))
