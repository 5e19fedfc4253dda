"""Laws of the bytes of a rejected partial file."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.server.descriptors import count_descriptors
from registry.store import partial
from registry.store.ingests import Ingests
from registry.store.partial import PartialReader, PartialState, PartialWriter
from registry.store.rejected import RejectedBytes

RIGHT = bytes(range(256)) * 40
WRONG = RIGHT[:1000] + bytes(500) + RIGHT[1500:-3] + b"end"
SPANS = [Span(len(RIGHT) - 3, len(RIGHT)), Span(1000, 1500)]
DIGEST = Digest.of(RIGHT)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[PartialWriter]:
    taken = Ingests(tmp_path).take(DIGEST)
    assert taken is not None
    taken.append([WRONG])
    yield taken
    taken.close()


@pytest.fixture
def reader(tmp_path: Path, writer: PartialWriter) -> Iterator[PartialReader]:
    found = Ingests(tmp_path).open(DIGEST)
    assert found is not None
    with found:
        yield found


@pytest.fixture
def rejected(writer: PartialWriter, reader: PartialReader) -> Iterator[RejectedBytes]:
    with writer.begin_again() as begun:
        yield begun


def test_readers_see_it_and_the_writer_stays(
    tmp_path: Path, writer: PartialWriter, reader: PartialReader, rejected: RejectedBytes
) -> None:
    """The old file is rejected; the path leads to an empty file, which nobody else may write."""
    assert reader.progress().state is PartialState.REJECTED
    assert writer.is_fresh
    assert Ingests(tmp_path).take(DIGEST) is None
    writer.append([RIGHT])
    assert writer.is_right
    assert reader.read(0, len(WRONG)) == WRONG[:-1], "the old file was changed"


def test_a_refused_file_leaves_nothing_open(
    writer: PartialWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk refuses the new file, no descriptor of the rejected bytes stays open."""

    def refuse(path: Path) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(partial, "take_lock", refuse)
    before = count_descriptors()

    with pytest.raises(StoreError):
        writer.begin_again()

    assert count_descriptors() == before


def test_all_bytes_can_be_read(rejected: RejectedBytes) -> None:
    """The last byte, which is in no file, is there too."""
    assert rejected.size == len(WRONG)
    assert b"".join(rejected.pieces([])) == WRONG
    assert rejected.read(Span(5, 9)) == WRONG[5:9]
    assert rejected.read(Span(len(WRONG) - 1, len(WRONG))) == WRONG[-1:]


def test_other_bytes_replace_the_wrong_ones(rejected: RejectedBytes) -> None:
    """They are compared, and the digest is that of the bytes with those that replace others."""
    assert not rejected.put_beside(0, RIGHT[:1000])
    for span in SPANS:
        assert rejected.put_beside(span.start, RIGHT[span.start : span.stop])

    assert b"".join(rejected.pieces(SPANS)) == RIGHT
    assert rejected.has_digest(DIGEST, SPANS)
    assert not rejected.has_digest(DIGEST, SPANS[:1])
    assert not rejected.has_digest(DIGEST, [])


def test_nothing_is_left_on_the_disk(tmp_path: Path, rejected: RejectedBytes) -> None:
    """The bytes of others have no name, so that a crash leaves nothing."""
    assert len(list(tmp_path.iterdir())) == 1
