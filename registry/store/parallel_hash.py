"""Hashing bytes in a second thread, while the first one receives and writes them."""

import threading
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from hashlib import _Hash

# Bytes of a piece that is worth the other thread. Smaller pieces come from a connection that is
# slower than this thread, which has the time to hash them.
LEAST = 128 * 1024


class ParallelHash:
    """Hashes pieces in their order; the large ones in a thread of its own, one at a time.

    The thread begins with the second large piece, since a slow connection brings only one, and ends
    with the `with` block. At that end all pieces have been hashed, also after an error. Until then
    nobody else may use the hash.
    """

    def __init__(self, hasher: "_Hash", *, least: int = LEAST) -> None:
        """`hasher` is the hash of the bytes before; pieces are large from `least` bytes on."""
        self._hasher = hasher
        self._least = least
        self._pieces: SimpleQueue[memoryview | None] = SimpleQueue()
        self._results: SimpleQueue[BaseException | None] = SimpleQueue()
        self._is_begun = False  # whether a large piece has come
        self._is_hashing = False  # whether the thread has a piece, of which the result is not read
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
        if error is None:  # an error of the block says more
            self._wait()

    def update(self, piece: memoryview) -> None:
        """Hash a piece, or let the thread begin with it.

        The memory of the piece must not change before the next call has returned, or the block has
        ended.

        Raises:
            Exception: the error of an earlier piece, whose bytes were not hashed; the end of the
                block raises that of the last one.
        """
        self._wait()
        if len(piece) >= self._least and self._has_thread():
            self._is_hashing = True
            self._pieces.put(piece)
        else:
            self._hasher.update(piece)

    def _wait(self) -> None:
        """Wait until the thread has hashed its piece."""
        if self._is_hashing:
            self._is_hashing = False
            error = self._results.get()
            if error is not None:
                raise error

    def _has_thread(self) -> bool:
        """Return whether there is a thread for a large piece; begin it with the second one."""
        if self._is_begun and self._thread is None:
            thread = threading.Thread(target=self._hash, name="hash")
            try:
                thread.start()
            except RuntimeError:  # the system has no thread left
                return False
            self._thread = thread
        self._is_begun = True
        return self._thread is not None

    def _hash(self) -> None:
        while (piece := self._pieces.get()) is not None:
            error: BaseException | None = None
            try:
                self._hasher.update(piece)
            except BaseException as failure:  # noqa: BLE001 - `update` raises it
                error = failure
            del piece  # its memory may be released now
            self._results.put(error)
