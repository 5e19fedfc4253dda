"""Laws of last uses: written once an hour, known after a restart, and of this account only."""

from pathlib import Path

import pytest

from registry.access.last_uses import STEP, UseFiles, UseRecorder

NOON = 1_796_040_000.0  # epoch seconds


class Site:
    """A worker at a time that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.now = NOON
        self.folder = folder / "last-uses"
        self.files = UseFiles(self.folder)
        self.recorder = UseRecorder(self.files, lambda: self.now)

    async def use(self, name: str, after: float = 0.0) -> None:
        self.now += after
        self.recorder.note(name)
        await self.recorder.write()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_a_file_is_written_once_an_hour(site: Site) -> None:
    """However often the account is used: a pull must not wait for a disk."""
    await site.use("ci")
    (site.folder / "ci").unlink()
    await site.use("ci", STEP - 1)
    assert not (site.folder / "ci").exists()

    await site.use("ci", 1)

    assert site.files.read("ci", made=NOON) == NOON + STEP


async def test_another_process_reads_it(site: Site) -> None:
    """What was never used has no time; only this user can read the files."""
    await site.use("ci")

    assert UseFiles(site.folder).read("ci", made=NOON) == NOON
    assert UseFiles(site.folder).read("idle", made=NOON) is None
    assert (site.folder / "ci").stat().st_mode & 0o777 == 0o600


async def test_a_use_of_a_former_account_does_not_count(site: Site) -> None:
    """A token that was removed may have had the same name."""
    await site.use("ci")

    assert site.files.read("ci", made=NOON + 60) is None


@pytest.mark.parametrize("content", [b"", b"yesterday", b"\xff", b"2026-11-30T12:00:00Z" * 9])
async def test_a_damaged_file_counts_as_none(site: Site, content: bytes) -> None:
    """The list of tokens is shown all the same, and the next use mends the file."""
    await site.use("ci")
    (site.folder / "ci").write_bytes(content)
    assert site.files.read("ci", made=NOON) is None

    await site.use("ci", STEP)

    assert site.files.read("ci", made=NOON) == NOON + STEP


async def test_a_disk_that_refuses_stops_no_pull(site: Site) -> None:
    """The next use tries again."""
    site.folder.write_text("no folder")
    await site.use("ci")
    site.folder.unlink()

    await site.use("ci", 1)

    assert site.files.read("ci", made=NOON) == NOON + 1
