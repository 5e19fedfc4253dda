"""Laws of reading: the newest first, in little memory, whatever is in the files."""

import io
from pathlib import Path

import pytest

from registry.access.record_files import CURRENT, list_closed
from registry.access.record_reader import ENOUGH_OLDER, RecordReader, read_backwards
from registry.access.records import LONGEST_LINE, AccessRecord, AnswerFacts, format_record


def make(second: int, mark: str = "") -> bytes:
    return format_record(AccessRecord(second, "", AnswerFacts(reference=mark), 1, 0))


def close(folder: Path, name: str, *lines: bytes) -> None:
    (folder / f"access-{name}.jsonl").write_bytes(b"".join(lines))


@pytest.mark.parametrize("block", [1, 2, 3, 7, 10, 1000])
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"a\n", [b"a"]),
        (b"a\nbb\nccc\n", [b"ccc", b"bb", b"a"]),
        (b"a\n\nb\n", [b"b", b"", b"a"]),
        (b"\na\n", [b"a", b""]),
        (b"a\nbeing writ", [b"a"]),
        (b"being writ", []),
    ],
)
def test_lines_come_backwards(content: bytes, lines: list[bytes], block: int) -> None:
    """Whatever is read at once; a line without an end is being written."""
    assert list(read_backwards(io.BytesIO(content), block)) == lines


def test_a_line_without_end_takes_no_memory() -> None:
    """It is no record; those before and after it are read."""
    content = b"first\n" + b"x" * 50 * LONGEST_LINE + b"\nlast\n"

    first, damaged, last = reversed(list(read_backwards(io.BytesIO(content))))

    assert (first, last) == (b"first", b"last")
    assert len(damaged) < 6 * LONGEST_LINE


def test_the_newest_file_comes_first(tmp_path: Path) -> None:
    """First the current one, and then the closed ones by the times of their ends."""
    close(tmp_path, "20240101T000000Z", make(1), make(2))
    close(tmp_path, "20240102T000000Z", make(3))
    close(tmp_path, "20240102T000000Z-2", make(5))
    close(tmp_path, "20240102T000000Z-1", make(4))
    (tmp_path / CURRENT).write_bytes(make(6) + make(7))

    assert [each.second for each in RecordReader(tmp_path).read(0)] == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("group", ["failures", "anonymous"])
def test_what_anybody_can_make_is_among_the_others(tmp_path: Path, group: str) -> None:
    """It is in files of its own, and is read by its times."""
    (tmp_path / f"{group}-20240102T000000Z.jsonl").write_bytes(make(2) + make(4))
    (tmp_path / f"{group}.jsonl").write_bytes(make(6))
    close(tmp_path, "20240101T000000Z", make(1), make(3))
    (tmp_path / CURRENT).write_bytes(make(5) + make(7))

    assert [each.second for each in RecordReader(tmp_path).read(0)] == [7, 6, 5, 4, 3, 2, 1]


def test_there_may_be_nothing(tmp_path: Path) -> None:
    """No folder, or an empty one."""
    assert list(RecordReader(tmp_path).read(0)) == []
    assert list(RecordReader(tmp_path / "nowhere").read(0)) == []


def test_damaged_lines_are_counted(tmp_path: Path) -> None:
    """The others are read."""
    (tmp_path / CURRENT).write_bytes(b"\0" * 9 + b"\n" + make(1) + b"{}\n\n" + make(2) + b'{"ti')
    reader = RecordReader(tmp_path)

    assert [each.second for each in reader.read(0)] == [2, 1]
    assert reader.damaged == 2


def test_older_records_are_not_yielded(tmp_path: Path) -> None:
    """A newer one between them is: the clock may have been set."""
    (tmp_path / CURRENT).write_bytes(make(100) + make(5) + make(99) + make(200))

    assert [each.second for each in RecordReader(tmp_path).read(100)] == [200, 100]


def test_old_files_are_not_read(tmp_path: Path) -> None:
    """Neither closed ones, nor a file to its begin, if it has only older records."""
    close(tmp_path, "19700101T000100Z", make(500, "of a file that ended before"))
    lines = [make(2000, "before many old ones"), *[make(10)] * (ENOUGH_OLDER + 1), make(1000)]
    (tmp_path / CURRENT).write_bytes(b"".join(lines))

    assert [each.second for each in RecordReader(tmp_path).read(100)] == [1000]


def test_a_file_that_is_renamed_meanwhile_is_read_once(tmp_path: Path) -> None:
    """And what is appended to the new one meanwhile is not missing of the old one."""
    close(tmp_path, "20240101T000000Z", make(1))
    (tmp_path / CURRENT).write_bytes(make(2) + make(3))
    records = RecordReader(tmp_path).read(0)
    seconds = [next(records).second]
    (tmp_path / CURRENT).rename(tmp_path / "access-20240102T000000Z.jsonl")
    (tmp_path / CURRENT).write_bytes(make(4))

    seconds += [each.second for each in records]

    assert seconds == [3, 2, 1]


def test_a_file_that_is_deleted_meanwhile_is_left_out(tmp_path: Path) -> None:
    """It was too old just then."""
    close(tmp_path, "20240101T000000Z", make(1))
    close(tmp_path, "20240102T000000Z", make(2))
    (tmp_path / CURRENT).write_bytes(make(3))
    records = RecordReader(tmp_path).read(0)
    assert [next(records).second, next(records).second] == [3, 2]
    list_closed(tmp_path)[0].path.unlink()

    assert list(records) == []
