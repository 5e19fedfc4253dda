"""Laws of the files of records: several processes write them, and each line is whole."""

import fcntl
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from registry.access.record_files import CURRENT, LOCK, RecordFiles, list_closed
from registry.access.record_reader import RecordReader
from registry.access.records import (
    AccessRecord,
    AnswerFacts,
    RecordGroup,
    format_record,
    parse_record,
)
from registry.store.files import take_lock

DAY = 86_400.0
NOON = 20_000 * DAY + DAY / 2
# A process that appends each of 200 records twice; a file is full after a few of them.
WRITER = """
import sys
from pathlib import Path
from registry.access.record_files import RecordFiles
from registry.access.records import AccessRecord, AnswerFacts, format_record

folder, mark = Path(sys.argv[1]), sys.argv[2]
files = RecordFiles(folder, 1e9, 1 << 30, clock=lambda: 1e9, max_size=2000)
for number in range(200):
    facts = AnswerFacts(reference=f"{mark}-{number}")
    assert not files.append([format_record(AccessRecord(10**9, mark, facts, 1, 0))] * 2).why
"""


class Site:
    """The files of a folder at a time that the test sets."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.folder = folder
        self.now = NOON
        self.keep_for, self.limit = 10 * DAY, 1 << 30
        self.limits = limits
        self.files = self.open()

    def open(self) -> RecordFiles:
        """Return the files as another process has them."""
        return RecordFiles(
            self.folder, self.keep_for, self.limit, clock=lambda: self.now, **self.limits
        )

    def write(self, files: RecordFiles | None = None, mark: str = "1") -> bytes:
        """Append a record of now, and return its line."""
        line = format_record(AccessRecord(int(self.now), "", AnswerFacts(reference=mark), 1, 0))
        done = (files or self.files).append([line])
        assert (done.lines, done.why) == (1, "")
        return line

    def list_names(self) -> list[str]:
        """Return the names of the closed files, the oldest first."""
        return [each.path.name for each in list_closed(self.folder)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "access-records")


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let the kernel refuse what goes beyond this size of a file, as a full disk does."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def test_other_users_cannot_read_records(site: Site) -> None:
    """Whatever the mask of the process is."""
    former = os.umask(0)
    try:
        site.write()
    finally:
        os.umask(former)

    assert stat.S_IMODE(site.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((site.folder / CURRENT).stat().st_mode) == 0o600


def test_a_link_in_its_place_is_not_followed(site: Site, tmp_path: Path) -> None:
    """Whoever made it would choose the file that grows."""
    (tmp_path / "other").write_bytes(b"")
    site.folder.mkdir()
    (site.folder / CURRENT).symlink_to(tmp_path / "other")

    done = site.files.append([b"{}\n"])

    assert done.lines == 0
    assert done.why
    assert (tmp_path / "other").read_bytes() == b""


def test_a_new_day_begins_a_new_file(site: Site) -> None:
    """The former one is named by the time of its end."""
    first = site.write()
    site.now += DAY / 2
    second = site.write()

    (closed,) = list_closed(site.folder)
    assert (closed.path.read_bytes(), closed.ended) == (first, site.now)
    assert closed.path.name == "access-20241005T000000Z.jsonl"
    assert (site.folder / CURRENT).read_bytes() == second


def test_a_full_file_ends(tmp_path: Path) -> None:
    """Several of one second have numbers, in their order."""
    site = Site(tmp_path, max_size=1)
    lines = [site.write(mark=str(number)) for number in range(13)]

    closed = list_closed(tmp_path)

    assert [each.path.read_bytes() for each in closed] == lines[:-1]
    assert {each.ended for each in closed} == {NOON}


def test_all_writers_notice_a_renamed_file(site: Site) -> None:
    """Before they append the next time: nothing is appended to a file that may be deleted soon."""
    other = site.open()
    site.write()
    site.write(other)
    site.now += DAY
    site.write()
    late = site.write(other, mark="late")

    assert len(site.list_names()) == 1
    assert (site.folder / CURRENT).read_bytes().splitlines(keepends=True)[1] == late


def test_who_cannot_rename_goes_on(site: Site) -> None:
    """While another process holds the lock, the file grows on."""
    first = site.write()
    lock = take_lock(site.folder / LOCK)
    assert lock is not None
    site.now += DAY
    second = site.write()
    os.close(lock)
    third = site.write()

    assert [each.path.read_bytes() for each in list_closed(site.folder)] == [first + second]
    assert (site.folder / CURRENT).read_bytes() == third


def test_writers_lose_nothing_while_files_are_renamed(tmp_path: Path) -> None:
    """Each line of each process is in exactly one file, and whole."""
    programs = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), mark]) for mark in "ab"
    ]
    assert [each.wait(60) for each in programs] == [0, 0]

    paths = [*(each.path for each in list_closed(tmp_path)), tmp_path / CURRENT]
    found = [
        parse_record(line).facts.reference
        for path in paths
        for line in path.read_bytes().splitlines()
    ]

    assert len(paths) > 10
    expected = [f"{mark}-{number}" for mark in "ab" for number in range(200)]
    assert sorted(found) == sorted(expected * 2)


def test_a_line_that_is_being_written_is_not_torn(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever appends waits for the end of it, and adds no end of its own."""
    first = site.write()
    current = site.folder / CURRENT
    other = os.open(current, os.O_WRONLY | os.O_APPEND)
    os.write(other, first[:20])

    def wait(descriptor: int, operation: int) -> None:
        """Stand for the other process, which ends its call before the lock is free."""
        if operation == fcntl.LOCK_EX:
            os.write(other, first[20:])
            os.close(other)
        flock(descriptor, operation)

    flock = fcntl.flock
    monkeypatch.setattr("registry.access.record_files.fcntl.flock", wait)

    second = site.write(mark="2")

    assert first * 2 + second == current.read_bytes()


def test_a_full_disk_tears_no_further_line(site: Site) -> None:
    """What was written is counted; the next line begins on a line of its own."""
    line = format_record(AccessRecord(int(NOON), "", AnswerFacts(reference="1"), 1, 0))
    with full_disk(len(line) * 2 + 10):
        done = site.files.append([line] * 5)
        again = site.files.append([line])
    assert (done.lines, again.lines) == (2, 0)
    assert "large" in done.why  # the kernel's word for this limit

    last = site.write(mark="last")

    lines = (site.folder / CURRENT).read_bytes().splitlines(keepends=True)
    assert lines == [line, line, line[:10] + b"\n", last]
    reader = RecordReader(site.folder)
    assert [each.facts.reference for each in reader.read(0)] == ["last", "1", "1"]
    assert reader.damaged == 1


def test_old_files_are_deleted(site: Site) -> None:
    """When all their records are older than the time for which they are kept."""
    site.write()
    for _ in range(3):
        site.now += DAY
        site.write()
    assert len(site.list_names()) == 3

    site.now = NOON + DAY + 10 * DAY
    site.files.tidy()
    assert len(site.list_names()) == 4  # that of the last day has ended too
    site.now += 1
    site.files.tidy()
    assert len(site.list_names()) == 3
    site.now += 100 * DAY
    site.files.tidy()

    assert site.list_names() == []
    assert {each.name for each in site.folder.iterdir()} == {LOCK}


def test_too_many_bytes_are_deleted_early(site: Site) -> None:
    """The oldest first, and the log says so: somebody may rely on them."""
    for _ in range(5):
        site.write()
        site.now += DAY
    size = len(site.write())
    site.limit = 3 * size
    names = site.list_names()
    with capture_logs() as lines:
        site.open().tidy()

    assert site.list_names() == names[2:]
    assert [(each["event"], each["file"]) for each in lines] == [
        ("access records deleted early", name) for name in names[:2]
    ]


@pytest.mark.parametrize("group", [RecordGroup.FAILURES, RecordGroup.ANONYMOUS])
def test_files_of_another_group_are_not_deleted(site: Site, group: RecordGroup) -> None:
    """Each has a limit of its own: what anybody can make pushes out no record of a user."""
    others = RecordFiles(site.folder, site.keep_for, 1, group=group, clock=lambda: site.now)
    for _ in range(3):
        site.write(others, "anybody")
        site.write(mark="pulled")
        site.now += DAY
    others.tidy()
    site.files.tidy()

    assert list_closed(site.folder, group) == []
    assert len(site.list_names()) == 3


def test_other_files_are_left_alone(site: Site) -> None:
    """Only what has the name of a closed file is deleted."""
    site.write()
    others = ["access-1.jsonl", "access.jsonl.gz", "notes", "access-20200101T000000Z.jsonl.gz"]
    for name in others:
        (site.folder / name).write_bytes(b"x" * 100)
    site.limit, site.keep_for = 0, 0.0
    site.open().tidy()

    assert {*others, CURRENT, LOCK} == {each.name for each in site.folder.iterdir()}


def test_nothing_is_made_where_nothing_is_recorded(site: Site) -> None:
    """The background process tidies up in any case."""
    site.files.tidy()

    assert not site.folder.exists()
