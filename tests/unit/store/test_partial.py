"""Laws of a blob that is still arriving: what its readers may know, whatever its writer does."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import DigestMismatch, StoreError
from registry.oci.digest import Digest
from registry.store.ingests import Spool, Waybill
from registry.store.partial import Fate, PartReader, PartWriter, Progress

CONTENT = bytes(range(256)) * 10
DIGEST = Digest.of(CONTENT)
SIZE = len(CONTENT)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


@pytest.fixture
def writer(spool: Spool) -> Iterator[PartWriter]:
    taken = take(spool)
    yield taken
    taken.close()


@pytest.fixture
def reader(spool: Spool, writer: PartWriter) -> Iterator[PartReader]:
    """Opened before anything was written, as by another process."""
    with look(spool) as opened:
        yield opened


def take(spool: Spool) -> PartWriter:
    taken = spool.take(DIGEST)
    assert taken is not None
    return taken


def look(spool: Spool) -> PartReader:
    opened = spool.open(DIGEST)
    assert opened is not None
    return opened


def fill(writer: PartWriter, content: bytes = CONTENT) -> None:
    writer.append([content])


def test_last_byte_is_withheld(writer: PartWriter, reader: PartReader) -> None:
    """Readers never see the last byte received before the digest was checked."""
    for stop in (1, 2, 100, SIZE):
        fill(writer, CONTENT[writer.received : stop])
        assert Progress(stop - 1, Fate.GROWING) == reader.progress()
        assert CONTENT[: stop - 1] == reader.read(0, SIZE)
        assert stop == writer.received


def test_chunks_land_in_order(writer: PartWriter, reader: PartReader) -> None:
    """Many chunks at once land as they came."""
    writer.append([CONTENT[:1], CONTENT[1:2], CONTENT[2:1000], CONTENT[1000:]])
    writer.seal()
    assert reader.read(0, SIZE + 1) == CONTENT


def test_sealed_part_is_whole(writer: PartWriter, reader: PartReader) -> None:
    """After sealing every byte may be read, and the inode says so."""
    fill(writer)
    sealed = writer.seal()

    assert (sealed.digest, sealed.size) == (DIGEST, SIZE)
    assert Progress(SIZE, Fate.WHOLE) == reader.progress()
    assert sealed.path.read_bytes() == CONTENT


def test_verified_part_has_its_last_byte(writer: PartWriter, reader: PartReader) -> None:
    """Readers have the last byte as soon as the digest agreed, before the disk has it."""
    fill(writer)
    writer.verify()
    assert Progress(SIZE, Fate.GROWING) == reader.progress()


@pytest.mark.parametrize("wrong", [CONTENT[:-1] + b"x", CONTENT[:-1], CONTENT + b"x", b"x"])
def test_wrong_part_is_condemned(
    spool: Spool, writer: PartWriter, reader: PartReader, wrong: bytes
) -> None:
    """Wrong bytes are condemned for every reader, without their last one, and taken away."""
    fill(writer, wrong)

    with pytest.raises(DigestMismatch, match=str(len(wrong))):
        writer.seal()

    assert Progress(len(wrong) - 1, Fate.CONDEMNED) == reader.progress()
    assert spool.open(DIGEST) is None


def test_abandoned_part_says_so(spool: Spool, writer: PartWriter, reader: PartReader) -> None:
    """A part that was given up keeps what its readers have, and its name is free."""
    fill(writer)
    writer.abandon()

    assert Progress(SIZE - 1, Fate.ABANDONED) == reader.progress()
    assert CONTENT[:-1] == reader.read(0, SIZE)
    assert spool.open(DIGEST) is None


def test_reader_follows_a_rename(writer: PartWriter, reader: PartReader, tmp_path: Path) -> None:
    """A reader keeps its part when a store adopts it, and when the store deletes it."""
    fill(writer)
    sealed = writer.seal()
    sealed.path.rename(tmp_path / "adopted")
    (tmp_path / "adopted").unlink()
    assert Progress(SIZE, Fate.WHOLE) == reader.progress()


@pytest.mark.parametrize("stop", [2, 1000, SIZE - 1, SIZE])
def test_filling_is_resumed(spool: Spool, stop: int) -> None:
    """A second writer goes on from what has landed, and the whole is right."""
    first = take(spool)
    fill(first, CONTENT[:stop])
    first.close()

    second = take(spool)
    assert stop - 1 == second.resume()
    fill(second, CONTENT[stop - 1 :])
    assert second.seal().size == SIZE
    second.close()


def test_resumed_lie_is_found_out(spool: Spool) -> None:
    """A wrong prefix that was left behind is hashed too, and condemned at the end."""
    first = take(spool)
    fill(first, b"x" + CONTENT[1:1000])
    first.close()

    second = take(spool)
    fill(second, CONTENT[second.resume() :])
    with pytest.raises(DigestMismatch):
        second.seal()
    second.close()


def test_restart_never_continues_under_old_readers(spool: Spool) -> None:
    """Beginning again leaves the readers of the old bytes with those: nothing else follows them."""
    first = take(spool)
    fill(first, bytes(1000))
    first.close()
    with look(spool) as old:
        second = take(spool)
        second.resume()
        second.restart()
        fill(second)
        second.seal()

        assert Progress(999, Fate.ABANDONED) == old.progress()
        assert bytes(999) == old.read(0, SIZE)
    with look(spool) as new:
        assert new.read(0, SIZE) == CONTENT
    second.close()


def test_restarted_part_stays_locked(spool: Spool) -> None:
    """Who begins again is still the only writer."""
    first = take(spool)
    fill(first, bytes(1000))
    first.restart()
    assert spool.take(DIGEST) is None
    first.close()


def test_short_writes_are_completed(
    writer: PartWriter, reader: PartReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes a few bytes at a time gets them all."""
    real = os.pwritev
    monkeypatch.setattr(
        os, "pwritev", lambda file, pieces, at: real(file, [b"".join(pieces)[:7]], at)
    )
    writer.append([CONTENT[:3], CONTENT[3:1000], CONTENT[1000:]])
    writer.seal()
    assert reader.read(0, SIZE) == CONTENT


def test_refusing_disk_is_named(
    writer: PartWriter, reader: PartReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that refuses is an error that says where; what readers have stays readable."""
    fill(writer, CONTENT[:100])

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "pwritev", refuse)
    with pytest.raises(StoreError, match=f"{DIGEST.encoded}.*no room"):
        fill(writer, CONTENT[100:])
    assert CONTENT[:99] == reader.read(0, SIZE)


def test_whole_part_left_by_a_crash_is_right(spool: Spool) -> None:
    """What was sealed and never adopted needs nothing fetched: the next writer finds it right."""
    first = take(spool)
    fill(first)
    first.seal()
    first.close()

    second = take(spool)
    assert second.resume() == SIZE
    assert second.is_right
    assert second.seal().path.read_bytes() == CONTENT
    second.close()


def test_part_complete_but_unsealed_is_right(spool: Spool) -> None:
    """So is what got its last byte, and then its writer died."""
    first = take(spool)
    fill(first)
    first.verify()
    first.close()

    second = take(spool)
    second.resume()
    assert second.is_right
    assert second.is_growing
    second.close()


def test_condemned_part_left_by_a_crash_is_begun_again(spool: Spool, tmp_path: Path) -> None:
    """A verdict that was left behind binds nobody: the next writer begins again."""
    first = take(spool)
    fill(first, bytes(1000))
    os.fchmod(first._descriptor, 0o400)
    first.close()

    second = take(spool)
    second.resume()
    assert not second.is_growing
    second.restart()
    fill(second)
    assert second.seal().size == SIZE
    second.close()


def test_one_writer_at_a_time(spool: Spool, writer: PartWriter) -> None:
    """While one writes nobody else can; when it lets go, or dies, the next one can."""
    assert spool.take(DIGEST) is None
    assert spool.take(Digest.of(b"other")) is not None


def test_parts_that_do_not_exist_are_none(spool: Spool) -> None:
    """There is nothing to open, and nothing announced, before there is a writer."""
    assert spool.open(DIGEST) is None
    assert spool.waybill(DIGEST) is None


def test_waybill_is_read_by_others(spool: Spool, tmp_path: Path) -> None:
    """What the writer announces another process reads, until it is forgotten."""
    waybill = Waybill(SIZE, "docker.io/library/a", "https://h", 1.0)
    spool.announce(DIGEST, waybill)

    found = Spool(tmp_path).waybill(DIGEST)
    spool.forget(DIGEST)
    spool.forget(DIGEST)

    assert found is not None
    assert (*(found.size, found.repository, found.endpoint, found.started),) == (
        SIZE,
        "docker.io/library/a",
        "https://h",
        1.0,
    )
    assert spool.waybill(DIGEST) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"size": 1, "colour": "red"}'])
def test_unreadable_waybill_is_none(spool: Spool, tmp_path: Path, content: bytes) -> None:
    """A waybill torn by a crash, or of another version, counts as none."""
    (tmp_path / f"sha256-{DIGEST.encoded}.json").write_bytes(content)
    assert spool.waybill(DIGEST) is None


def test_unwritable_spool_is_a_store_error(tmp_path: Path) -> None:
    """A spool that is gone refuses, and says where."""
    with pytest.raises(StoreError):
        Spool(tmp_path / "gone").announce(DIGEST, Waybill(1, "r", "e", 1.0))
