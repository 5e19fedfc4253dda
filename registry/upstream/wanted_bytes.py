"""The bytes of a blob that one request is sent for, and which of its answer's bytes they are."""

from collections.abc import Callable
from dataclasses import dataclass

from registry.upstream.failures import WrongSize

MAX_UNKNOWN_SIZE = 16 * 1024**3  # bytes that are read of a blob whose size is not known


def _never() -> bool:
    return False


@dataclass(slots=True)
class WantedBytes:
    """The bytes to read: from `offset`, which grows, to `stop` (None: the unknown end).

    The body that is being read has `skip` bytes before `offset`. `is_longer` says whether the body
    continues after `stop`. With `needs_range`, no other body than that of the range is read.
    `in_thread` says whether the caller can receive bytes in a thread now.
    """

    offset: int
    stop: int | None
    may_extend: bool = False
    needs_range: bool = False
    in_thread: Callable[[], bool] = _never
    skip: int = 0
    is_longer: bool = False

    @property
    def is_done(self) -> bool:
        """Whether all bytes were read. An empty blob is requested once, since it may not exist."""
        return 0 < self.offset == self.stop

    @property
    def is_for_thread(self) -> bool:
        """Whether a thread may receive the rest of the body, of which all bytes are wanted."""
        return not (self.stop is None or self.skip or self.is_longer) and self.in_thread()

    @property
    def is_cut_off(self) -> bool:
        """Whether a body ended too early."""
        return self.stop is not None and self.offset < self.stop

    def take(self, piece: bytes, origin: str) -> bytes:
        """Return the wanted bytes of a piece of the body, and add their number to `offset`."""
        if self.skip:
            chunk = piece[self.skip :]
            self.skip = max(0, self.skip - len(piece))
        else:
            chunk = piece
        left = (MAX_UNKNOWN_SIZE if self.stop is None else self.stop) - self.offset
        if len(chunk) > left:
            if not self.is_longer:
                raise WrongSize(origin, "sends more bytes than were asked for")
            chunk = chunk[:left]
        self.offset += len(chunk)
        return chunk

    def name_range(self, size: int | None) -> dict[str, str]:
        """Return the header that names the range of a blob of `size` bytes; none for the whole."""
        if self.offset == 0 and self.stop in (None, size):
            return {}
        if self.stop is None:
            return {"Range": f"bytes={self.offset}-"}
        return {"Range": f"bytes={self.offset}-{self.stop - 1}"}
