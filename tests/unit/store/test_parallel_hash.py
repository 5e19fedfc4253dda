"""Laws of hashing in a second thread: the order, the memory of pieces, errors and the end."""

import hashlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from registry.store.parallel_hash import ParallelHash

if TYPE_CHECKING:
    from hashlib import _Hash

PIECE = memoryview(bytes(range(250)))
SMALL = PIECE[:10]


class SlowHash:
    """A hash that a test lets go on; it notes what it got, and in which thread."""

    def __init__(self) -> None:
        self.calls = 0
        self.got: list[bytes] = []
        self.threads: list[int] = []
        self.has_begun = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()
        self.failure: Exception | None = None

    def update(self, piece: memoryview) -> None:
        self.calls += 1
        self.has_begun.set()
        assert self.may_end.wait(30)
        if self.failure is not None:
            raise self.failure
        self.got.append(bytes(piece))
        self.threads.append(threading.get_ident())


@pytest.fixture
def slow() -> Iterator[SlowHash]:
    """A slow hash, after whose test no thread that hashes is left."""
    yield SlowHash()
    assert list_threads() == []


def list_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "hash"]


def hash_beside(slow: SlowHash) -> ParallelHash:
    return ParallelHash(cast("_Hash", slow), least=len(PIECE))


def test_a_large_piece_is_hashed_beside_the_caller(slow: SlowHash) -> None:
    """The call returns while the thread hashes; the end of the block waits for the thread."""
    with hash_beside(slow) as parallel:
        parallel.update(PIECE)
        slow.may_end.clear()
        slow.has_begun.clear()
        parallel.update(PIECE)
        assert slow.has_begun.wait(30)
        assert len(slow.got) == 1
        threading.Timer(0.05, slow.may_end.set).start()
    assert slow.got == [PIECE, PIECE]
    assert slow.threads[0] == threading.get_ident() != slow.threads[1]


@pytest.mark.parametrize("following", [PIECE, SMALL])
def test_the_next_piece_waits_for_the_one_before(slow: SlowHash, following: memoryview) -> None:
    """When a call has returned, the piece of the call before was hashed, and its memory is free."""
    memory = memoryview(bytearray(PIECE))
    with hash_beside(slow) as parallel:
        parallel.update(PIECE)
        slow.may_end.clear()
        parallel.update(memory)
        threading.Timer(0.05, slow.may_end.set).start()
        parallel.update(following)
        assert slow.got[:2] == [PIECE, PIECE]
        memory[:] = bytes(len(memory))
    assert slow.got == [PIECE, PIECE, following]


def test_a_slow_connection_needs_no_thread(slow: SlowHash) -> None:
    """Small pieces, and one large piece, are hashed by the caller; no thread begins for them."""
    with hash_beside(slow) as parallel:
        for piece in (SMALL, PIECE, SMALL, SMALL):
            parallel.update(piece)
        assert list_threads() == []
    assert set(slow.threads) == {threading.get_ident()}


def test_without_a_thread_the_caller_hashes(
    slow: SlowHash, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the system has no thread left, the bytes are hashed all the same."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with hash_beside(slow) as parallel:
        for _ in range(3):
            parallel.update(PIECE)
    assert slow.got == [PIECE] * 3


def fail_at_the_second(slow: SlowHash, *following: memoryview) -> None:
    """Hash two large pieces, of which the second fails, and then the following ones."""
    with hash_beside(slow) as parallel:
        parallel.update(PIECE)
        slow.failure = MemoryError()
        for piece in (PIECE, *following):
            parallel.update(piece)


@pytest.mark.parametrize("following", [PIECE, SMALL])
def test_an_error_is_raised_by_the_next_call(slow: SlowHash, following: memoryview) -> None:
    """Whoever passes the next piece learns that the one before was not hashed; it is not either."""
    with pytest.raises(MemoryError):
        fail_at_the_second(slow, following)
    assert slow.calls == 2


def test_an_error_of_the_last_piece_is_raised_at_the_end(slow: SlowHash) -> None:
    """Nobody asks for the digest of bytes of which the last ones were not hashed."""
    with pytest.raises(MemoryError):
        fail_at_the_second(slow)


def test_an_error_of_the_block_waits_for_the_thread(slow: SlowHash) -> None:
    """An error of the disk or of the connection is raised when no memory is read any more."""

    def break_off() -> None:
        with hash_beside(slow) as parallel:
            parallel.update(PIECE)
            slow.may_end.clear()
            parallel.update(PIECE)
            threading.Timer(0.05, slow.may_end.set).start()
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        break_off()
    assert slow.got == [PIECE, PIECE]


def test_a_block_without_pieces_changes_nothing() -> None:
    """The hash of nothing stays that."""
    hasher = hashlib.sha256()
    with ParallelHash(hasher):
        pass
    assert hasher.digest() == hashlib.sha256().digest()
