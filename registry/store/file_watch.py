"""Whether files have changed, for those who ask often: accounts, certificates.

Nobody is told of a change. A server looks when somebody asks, so that it does no work without
clients, and every process finds out by itself.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

POLL = 0.25  # seconds between two looks at the files

_Mark = tuple[int, int, int, int, int] | None


class FileWatch:
    """Compares some files with what they were."""

    def __init__(self, paths: Iterable[Path], clock: Callable[[], float] = time.monotonic) -> None:
        """Look for the first time: make the watch before the files are read.

        Otherwise a change between the two would never be noticed.
        """
        self._paths = tuple(paths)
        self._clock = clock
        self._looked_at = clock()
        self._marks = self._find_marks()

    def has_changed(self, *, at_once: bool = False) -> bool:
        """Whether a file was changed or replaced; each change is told once: see `look_again`.

        It looks at the files at most every `POLL` seconds; in between there is no change. It is
        called for each request, so that it has to cost nothing. With `at_once`, it always looks.
        """
        now = self._clock()
        if not at_once and now - self._looked_at < POLL:
            return False
        self._looked_at = now
        former, self._marks = self._marks, self._find_marks()
        return self._marks != former

    def look_again(self) -> None:
        """Tell the last change again at the next look, because the files could not be read.

        The reason may be none of the files: no descriptor was free, or the disk has failed once.
        """
        self._marks = ()

    def _find_marks(self) -> tuple[_Mark, ...]:
        return tuple(map(_find_mark, self._paths))


def _find_mark(path: Path) -> _Mark:
    """Return what differs after each change of a file; None if it cannot be found.

    The time of the last change of its owner, mode or name (`ctime`) counts too: a file that could
    not be read may be readable then.
    """
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_dev, state.st_ino
