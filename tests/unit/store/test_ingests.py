"""Laws of the spool: whose parts there are, what they take, and who is writing them."""

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
    """Partial files written to and left behind are listed, and no other file."""
    assert ingests.list_digests() == []
    writer = take(ingests, ONE)
    take(ingests, TWO).close()
    ingests.write_info(ONE, INFO)
    for unknown in ("README", "x.part", "sha256-12.part", f"sha256-{ONE.encoded}.fresh"):
        (tmp_path / unknown).touch()
    assert sorted(ingests.list_digests()) == sorted([ONE, TWO])
    writer.close()


def test_a_part_is_measured_as_it_lies(ingests: Ingests) -> None:
    """A part takes what has landed, the byte that is held back not; none takes nothing."""
    assert ingests.measure(ONE) == 0
    take(ingests, ONE, b"12345").close()
    assert ingests.measure(ONE) == 4


def test_who_holds_a_part_is_no_writer(ingests: Ingests, tmp_path: Path) -> None:
    """A part is held by one at a time, writer or not, and holding leaves nothing behind."""
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
    """A part that was left goes with its announcement."""
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
    """Have all files beside a part, so many seconds old."""
    paths = [folder / f"{digest.algorithm}-{digest.encoded}.{kind}" for kind in KINDS]
    for path in paths:
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    return paths


def test_what_is_left_of_gone_parts_is_swept(ingests: Ingests, tmp_path: Path) -> None:
    """Old side files go where there is no partial file; new ones and unknown files stay."""
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
    """Where a part is held just now, what is beside it is its writer's."""
    leave(tmp_path, ONE, 100.0)
    with Ingests(tmp_path).hold(ONE):
        assert ingests.sweep(60.0) == 0
    assert ingests.sweep(60.0) == len(KINDS)
