"""Laws of a partial file whose pieces are hashed in another thread while they are written."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.errors import DigestMismatch, StoreError
from registry.oci.digest import Digest
from registry.store.ingests import Ingests
from registry.store.parallel_hash import LEAST
from registry.store.partial import PartialWriter

CONTENT = bytes(range(251)) * 4 * LEAST
CONTENT = CONTENT[: 10 * LEAST + 7]
DIGEST = Digest.of(CONTENT)
SIZE = len(CONTENT)
Sink = Callable[[memoryview], None]


@pytest.fixture
def ingests(tmp_path: Path) -> Ingests:
    return Ingests(tmp_path)


def take(ingests: Ingests) -> PartialWriter:
    taken = ingests.take(DIGEST)
    assert taken is not None
    return taken


def pass_on(content: bytes, sink: Sink, size: int = LEAST) -> None:
    """Pass the bytes on as a connection does: in two pieces of memory in turn."""
    memory, other = memoryview(bytearray(size)), memoryview(bytearray(size))
    for start in range(0, len(content), size):
        piece = content[start : start + size]
        memory[: len(piece)] = piece
        sink(memory[: len(piece)])
        other[:] = bytes(size)
        memory, other = other, memory


@pytest.mark.parametrize("size", [1000, LEAST, 3 * LEAST])
def test_pieces_land_in_order(ingests: Ingests, size: int) -> None:
    """Pieces of any size are written in order, and have the digest of the whole."""
    writer = take(ingests)
    writer.receive(lambda sink: pass_on(CONTENT[:9], sink))
    writer.receive(lambda sink: pass_on(CONTENT[9:], sink, size))
    assert writer.received == SIZE
    assert writer.seal().path.read_bytes() == CONTENT
    writer.close()


def test_wrong_bytes_are_rejected(ingests: Ingests) -> None:
    """The digest that is asked for has all bytes, up to the last one that was received."""
    writer = take(ingests)
    writer.receive(lambda sink: pass_on(CONTENT[:-1] + b"x", sink))
    with pytest.raises(DigestMismatch):
        writer.verify()
    writer.close()


def test_a_step_that_breaks_is_continued(ingests: Ingests) -> None:
    """After an error in the middle of a step, the same writer goes on, and the blob is right."""
    writer, stop = take(ingests), 4 * LEAST

    def break_off(sink: Sink) -> None:
        pass_on(CONTENT[:stop], sink)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        writer.receive(break_off)
    assert writer.received == stop
    writer.receive(lambda sink: pass_on(CONTENT[stop:], sink))
    assert writer.is_right
    writer.close()


def test_another_writer_resumes(ingests: Ingests) -> None:
    """What was written is hashed again by the next writer, which goes on with a step of its own."""
    first, stop = take(ingests), 5 * LEAST
    first.receive(lambda sink: pass_on(CONTENT[:stop], sink))
    first.close()

    second = take(ingests)
    assert second.resume() == stop - 1
    second.receive(lambda sink: pass_on(CONTENT[stop - 1 :], sink))
    assert second.seal().size == SIZE
    second.close()


def test_refusing_disk_ends_the_step(ingests: Ingests, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk is raised to who receives, while a piece is being hashed."""
    writer, real, stop = take(ingests), os.pwritev, 3 * LEAST

    def refuse(file: int, pieces: list[memoryview], at: int) -> int:
        if at >= stop - 1:
            raise OSError(errno.ENOSPC, "no room")
        return real(file, pieces, at)

    monkeypatch.setattr(os, "pwritev", refuse)
    with pytest.raises(StoreError, match="no room"):
        writer.receive(lambda sink: pass_on(CONTENT, sink))
    assert writer.written == stop - 1
    with ingests.open(DIGEST) as reader:  # type: ignore[union-attr]
        assert CONTENT[: stop - 1] == reader.read(0, SIZE)
    writer.close()
