"""Laws of the folder of partial files: which there are, their sizes, and their writers."""

import os
import time
from pathlib import Path

import pytest

from registry.oci.digest import Digest
from registry.store.ingests import IngestInfo, Ingests
from registry.store.partial import PartialWriter

ONE, TWO = Digest.of(b"one"), Digest.of(b"two", "sha512")
INFO = IngestInfo(9, "docker.io/library/a", "https://hub.example", 1.0)


@pytest.fixture
def ingests(tmp_path: Path) -> Ingests:
    return Ingests(tmp_path)


def take(ingests: Ingests, digest: Digest, content: bytes = b"") -> PartialWriter:
    writer = ingests.take(digest)
    assert writer is not None
    if content:
        writer.append([content])
    return writer


def test_parts_are_listed_whoever_writes_them(ingests: Ingests, tmp_path: Path) -> None:
    """Partial files with and without a writer are listed, and no other files."""
    assert ingests.list_digests() == []
    writer = take(ingests, ONE)
    take(ingests, TWO).close()
    ingests.write_info(ONE, INFO)
    for unknown in ("README", "x.part", "sha256-12.part", f"sha256-{ONE.encoded}.fresh"):
        (tmp_path / unknown).touch()
    assert sorted(ingests.list_digests()) == sorted([ONE, TWO])
    writer.close()


def test_a_partial_file_is_measured_on_disk(ingests: Ingests) -> None:
    """The size is the number of written bytes, without the last one; 0 without a file."""
    assert ingests.measure(ONE) == 0
    take(ingests, ONE, b"12345").close()
    assert ingests.measure(ONE) == 4


def test_who_holds_a_part_is_no_writer(ingests: Ingests, tmp_path: Path) -> None:
    """A blob is held by one at a time, also against writers; nothing is left afterwards."""
    other = Ingests(tmp_path)
    with ingests.hold(ONE) as is_held, other.hold(ONE) as is_held_twice:
        assert (is_held, is_held_twice) == (True, False)
        assert other.take(ONE) is None
    assert list(tmp_path.iterdir()) == []
    writer = take(ingests, ONE, b"content")
    with other.hold(ONE) as is_held:
        assert not is_held
    writer.close()
    with other.hold(ONE) as is_held:
        assert is_held
    assert ingests.measure(ONE) == 6, "what was left is still there"


def test_what_is_held_can_be_dropped(ingests: Ingests) -> None:
    """`delete` removes a partial file and its information."""
    for digest in (ONE, TWO):
        ingests.write_info(digest, INFO)
        take(ingests, digest, b"left").close()
    with ingests.hold(ONE):
        ingests.delete(ONE)
    assert ingests.list_digests() == [TWO]
    assert ingests.read_info(ONE) is None
    assert ingests.read_info(TWO) is not None


KINDS = ("json", "new", "fresh", "ranges")


def leave(folder: Path, digest: Digest, age: float) -> list[Path]:
    """Make all side files of a blob, `age` seconds old."""
    paths = [folder / f"{digest.algorithm}-{digest.encoded}.{kind}" for kind in KINDS]
    for path in paths:
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    return paths


def test_what_is_left_of_gone_parts_is_swept(ingests: Ingests, tmp_path: Path) -> None:
    """Old side files without a partial file are deleted; new and unknown files stay."""
    old, new, kept = ONE, Digest.of(b"new"), TWO
    for digest, age in ((old, 100.0), (new, 10.0), (kept, 100.0)):
        leave(tmp_path, digest, age)
    take(ingests, kept).close()
    unknown = [tmp_path / name for name in ("README", "x.json", f"sha256-{old.encoded}.txt")]
    for path in unknown:
        path.touch()
        os.utime(path, (1.0, 1.0))
    before = set(tmp_path.iterdir())

    assert ingests.sweep(60.0) == len(KINDS)

    gone = {tmp_path / f"sha256-{old.encoded}.{kind}" for kind in KINDS}
    assert before - set(tmp_path.iterdir()) == gone
    assert ingests.sweep(60.0) == 0


def test_what_somebody_begins_is_not_swept(ingests: Ingests, tmp_path: Path) -> None:
    """The side files of a blob that is held are not deleted."""
    leave(tmp_path, ONE, 100.0)
    with Ingests(tmp_path).hold(ONE):
        assert ingests.sweep(60.0) == 0
    assert ingests.sweep(60.0) == len(KINDS)


def test_a_sign_of_life_is_no_write(ingests: Ingests) -> None:
    """Who follows sees that the writer lives, and others see since when no bytes have come."""
    writer, reader = take(ingests, ONE, b"ab"), ingests.open(ONE)
    assert reader is not None
    os.utime(writer._path, (1.0, 1.0))
    before = reader.progress().touched
    for _ in range(100):  # the clock of a file system has steps of some milliseconds
        writer.touch()
        if reader.progress().touched > before:
            break
        time.sleep(0.001)

    assert reader.progress().touched > before
    assert ingests.idle(ONE) > 1000
    writer.resume()
    assert ingests.idle(ONE) < 100, "it has only begun"
    reader.close()
    writer.close()


def test_a_new_note_of_the_writer_is_no_follower(ingests: Ingests, tmp_path: Path) -> None:
    """The writer notes something every few seconds, whether or not anybody follows it."""
    ingests.write_info(ONE, INFO)
    followed_at = ingests.find_follower(ONE) - 100
    for path in tmp_path.rglob("*.json"):
        os.utime(path, (followed_at, followed_at))

    ingests.write_info(ONE, INFO)

    assert ingests.find_follower(ONE) == pytest.approx(followed_at, rel=0, abs=1)
