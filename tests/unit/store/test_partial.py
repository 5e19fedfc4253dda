"""Laws of partial files: which bytes and states readers can see."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import DigestMismatch, StoreError
from registry.oci.digest import Digest
from registry.store.ingests import IngestInfo, Ingests
from registry.store.partial import PartialReader, PartialState, PartialWriter, Progress

CONTENT = bytes(range(256)) * 10
DIGEST = Digest.of(CONTENT)
SIZE = len(CONTENT)


@pytest.fixture
def ingests(tmp_path: Path) -> Ingests:
    return Ingests(tmp_path)


@pytest.fixture
def writer(ingests: Ingests) -> Iterator[PartialWriter]:
    taken = take(ingests)
    yield taken
    taken.close()


@pytest.fixture
def reader(ingests: Ingests, writer: PartialWriter) -> Iterator[PartialReader]:
    """A reader that was opened before anything was written, as in another process."""
    with look(ingests) as opened:
        yield opened


def take(ingests: Ingests) -> PartialWriter:
    taken = ingests.take(DIGEST)
    assert taken is not None
    return taken


def look(ingests: Ingests) -> PartialReader:
    opened = ingests.open(DIGEST)
    assert opened is not None
    return opened


def write(writer: PartialWriter, content: bytes = CONTENT) -> None:
    writer.append([content])


def test_last_byte_is_withheld(writer: PartialWriter, reader: PartialReader) -> None:
    """Readers do not see the last byte before the digest was checked."""
    for stop in (1, 2, 100, SIZE):
        write(writer, CONTENT[writer.received : stop])
        assert Progress(stop - 1, PartialState.GROWING) == reader.progress()
        assert CONTENT[: stop - 1] == reader.read(0, SIZE)
        assert stop == writer.received


def test_chunks_land_in_order(writer: PartialWriter, reader: PartialReader) -> None:
    """Many chunks of one call are written in order."""
    writer.append([CONTENT[:1], CONTENT[1:2], CONTENT[2:1000], CONTENT[1000:]])
    writer.seal()
    assert reader.read(0, SIZE + 1) == CONTENT


def test_sealed_part_is_whole(writer: PartialWriter, reader: PartialReader) -> None:
    """After sealing all bytes can be read, and the state is "whole"."""
    write(writer)
    sealed = writer.seal()

    assert (sealed.digest, sealed.size) == (DIGEST, SIZE)
    assert Progress(SIZE, PartialState.WHOLE) == reader.progress()
    assert sealed.path.read_bytes() == CONTENT


def test_verified_part_has_its_last_byte(writer: PartialWriter, reader: PartialReader) -> None:
    """Readers see the last byte after the check of the digest, before the sync."""
    write(writer)
    writer.verify()
    assert Progress(SIZE, PartialState.GROWING) == reader.progress()


@pytest.mark.parametrize("wrong", [CONTENT[:-1] + b"x", CONTENT[:-1], CONTENT + b"x", b"x"])
def test_wrong_part_is_rejected(
    ingests: Ingests, writer: PartialWriter, reader: PartialReader, wrong: bytes
) -> None:
    """The state of wrong bytes is "rejected", without the last byte; the file is unlinked."""
    write(writer, wrong)

    with pytest.raises(DigestMismatch, match=str(len(wrong))):
        writer.seal()

    assert Progress(len(wrong) - 1, PartialState.REJECTED) == reader.progress()
    assert ingests.open(DIGEST) is None


def test_abandoned_part_says_so(
    ingests: Ingests, writer: PartialWriter, reader: PartialReader
) -> None:
    """Readers can read an abandoned file, and its name can be used again."""
    write(writer)
    writer.abandon()

    assert Progress(SIZE - 1, PartialState.ABANDONED) == reader.progress()
    assert CONTENT[:-1] == reader.read(0, SIZE)
    assert ingests.open(DIGEST) is None


def test_reader_follows_a_rename(
    writer: PartialWriter, reader: PartialReader, tmp_path: Path
) -> None:
    """A reader can read its file after a store has adopted and deleted it."""
    write(writer)
    sealed = writer.seal()
    sealed.path.rename(tmp_path / "adopted")
    (tmp_path / "adopted").unlink()
    assert Progress(SIZE, PartialState.WHOLE) == reader.progress()


@pytest.mark.parametrize("stop", [2, 1000, SIZE - 1, SIZE])
def test_filling_is_resumed(ingests: Ingests, stop: int) -> None:
    """A second writer continues with the written bytes, and the whole blob is right."""
    first = take(ingests)
    write(first, CONTENT[:stop])
    first.close()

    second = take(ingests)
    assert stop - 1 == second.resume()
    write(second, CONTENT[stop - 1 :])
    assert second.seal().size == SIZE
    second.close()


def test_wrong_resumed_bytes_are_rejected(ingests: Ingests) -> None:
    """Wrong bytes of an earlier writer are hashed too, and rejected at the end."""
    first = take(ingests)
    write(first, b"x" + CONTENT[1:1000])
    first.close()

    second = take(ingests)
    write(second, CONTENT[second.resume() :])
    with pytest.raises(DigestMismatch):
        second.seal()
    second.close()


def test_restart_never_continues_under_old_readers(ingests: Ingests) -> None:
    """After a restart, readers of the old file see no more bytes."""
    first = take(ingests)
    write(first, bytes(1000))
    first.close()
    with look(ingests) as old:
        second = take(ingests)
        second.resume()
        second.restart()
        write(second)
        second.seal()

        assert Progress(999, PartialState.ABANDONED) == old.progress()
        assert bytes(999) == old.read(0, SIZE)
    with look(ingests) as new:
        assert new.read(0, SIZE) == CONTENT
    second.close()


def test_restarted_part_stays_locked(ingests: Ingests) -> None:
    """After a restart the writer is still the only writer."""
    first = take(ingests)
    write(first, bytes(1000))
    first.restart()
    assert ingests.take(DIGEST) is None
    first.close()


def test_short_writes_are_completed(
    writer: PartialWriter, reader: PartialReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk writes fewer bytes than asked, the rest is written too."""
    real = os.pwritev
    monkeypatch.setattr(
        os, "pwritev", lambda file, pieces, at: real(file, [b"".join(pieces)[:7]], at)
    )
    writer.append([CONTENT[:3], CONTENT[3:1000], CONTENT[1000:]])
    writer.seal()
    assert reader.read(0, SIZE) == CONTENT


def test_refusing_disk_is_named(
    writer: PartialWriter, reader: PartialReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk has the path; bytes that readers have stay readable."""
    write(writer, CONTENT[:100])

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "pwritev", refuse)
    with pytest.raises(StoreError, match=f"{DIGEST.encoded}.*no room"):
        write(writer, CONTENT[100:])
    assert CONTENT[:99] == reader.read(0, SIZE)


def test_whole_part_left_by_a_crash_is_right(ingests: Ingests) -> None:
    """A sealed file that no store has adopted is complete for the next writer."""
    first = take(ingests)
    write(first)
    first.seal()
    first.close()

    second = take(ingests)
    assert second.resume() == SIZE
    assert second.is_right
    assert second.seal().path.read_bytes() == CONTENT
    second.close()


def test_part_complete_but_unsealed_is_right(ingests: Ingests) -> None:
    """A file with its last byte that was not sealed is complete too."""
    first = take(ingests)
    write(first)
    first.verify()
    first.close()

    second = take(ingests)
    second.resume()
    assert second.is_right
    assert second.is_growing
    second.close()


def test_rejected_part_left_by_a_crash_is_begun_again(ingests: Ingests, tmp_path: Path) -> None:
    """A rejected file that a crash left is begun again by the next writer."""
    first = take(ingests)
    write(first, bytes(1000))
    os.fchmod(first._descriptor, 0o400)
    first.close()

    second = take(ingests)
    second.resume()
    assert not second.is_growing
    second.restart()
    write(second)
    assert second.seal().size == SIZE
    second.close()


def test_one_writer_at_a_time(ingests: Ingests, writer: PartialWriter) -> None:
    """There is one writer at a time; the next one can follow when it closes the file or dies."""
    assert ingests.take(DIGEST) is None
    assert ingests.take(Digest.of(b"other")) is not None


def test_parts_that_do_not_exist_are_none(ingests: Ingests) -> None:
    """Without a writer there is neither a partial file nor information."""
    assert ingests.open(DIGEST) is None
    assert ingests.read_info(DIGEST) is None


def test_info_is_read_by_others(ingests: Ingests, tmp_path: Path) -> None:
    """Another process reads the information of the writer until it is deleted."""
    info = IngestInfo(SIZE, "docker.io/library/a", "https://h", 1.0)
    ingests.write_info(DIGEST, info)

    found = Ingests(tmp_path).read_info(DIGEST)
    ingests.delete_side_files(DIGEST)
    ingests.delete_side_files(DIGEST)

    assert found is not None
    assert (*(found.size, found.repository, found.endpoint, found.started),) == (
        SIZE,
        "docker.io/library/a",
        "https://h",
        1.0,
    )
    assert ingests.read_info(DIGEST) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"size": 1, "colour": "red"}'])
def test_unreadable_info_is_none(ingests: Ingests, tmp_path: Path, content: bytes) -> None:
    """Incomplete information, or that of another version, counts as none."""
    (tmp_path / f"sha256-{DIGEST.encoded}.json").write_bytes(content)
    assert ingests.read_info(DIGEST) is None


def test_unwritable_spool_is_a_store_error(tmp_path: Path) -> None:
    """If the folder is missing, the error has its path."""
    with pytest.raises(StoreError):
        Ingests(tmp_path / "gone").write_info(DIGEST, IngestInfo(1, "r", "e", 1.0))
