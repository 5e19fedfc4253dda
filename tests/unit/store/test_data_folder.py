"""Laws of the data folder, of durable writes, of tag files, and of unknown files."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from registry.errors import StoreError, StoreTooNew
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from registry.store.data_folder import LAYOUT, find_folder, open_folder
from registry.store.files import write_durably
from registry.store.local import DiskStore
from registry.store.tags import TagFiles, TagTarget

REPOSITORY = Repository("registry.lan:5000", "a/b")
DIGEST = Digest.of(b"manifest")
POINTER = TagTarget(str(DIGEST), "application/json", 1.5)


def list_all(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_new_folder_has_its_rooms(tmp_path: Path) -> None:
    """A new folder has its subfolders and the version of its layout, and nothing else."""
    open_folder(tmp_path / "data")

    assert list_all(tmp_path / "data") == [
        *("LAYOUT", "blobs", "locks", "quarantine", "spool", "tags")
    ]
    assert f"{LAYOUT}\n" == (tmp_path / "data" / "LAYOUT").read_text()


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    """Other users of the machine can neither list it nor read what is in it."""
    open_folder(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    """A second opening does not change the files in the folder."""
    folder = open_folder(tmp_path)
    (folder.blobs / "x").touch()
    before = list_all(tmp_path)
    assert folder == open_folder(tmp_path)
    assert before == list_all(tmp_path)


def test_newer_folder_is_not_touched(tmp_path: Path) -> None:
    """A folder of a newer version is refused, and no subfolder is made in it."""
    (tmp_path / "LAYOUT").write_text(f"{LAYOUT + 1}\n")

    with pytest.raises(StoreTooNew) as caught:
        open_folder(tmp_path)

    assert (caught.value.found, caught.value.known) == (LAYOUT + 1, LAYOUT)
    assert list_all(tmp_path) == ["LAYOUT"]


@pytest.mark.parametrize("text", [b"", b"one", b"-1", b"1.0", b"\x00", b"\xff", b"9" * 5000])
def test_strange_folder_is_refused(tmp_path: Path, text: bytes) -> None:
    """A folder whose version cannot be read is refused."""
    (tmp_path / "LAYOUT").write_bytes(text)
    with pytest.raises(StoreError):
        open_folder(tmp_path)
    assert list_all(tmp_path) == ["LAYOUT"]


def test_file_in_the_way_is_refused(tmp_path: Path) -> None:
    """A path that is not a folder is a StoreError with the path."""
    (tmp_path / "data").touch()
    with pytest.raises(StoreError, match="data"):
        open_folder(tmp_path / "data")


def test_durable_write_replaces(tmp_path: Path) -> None:
    """The file has the new content, and no temporary file is left."""
    path = tmp_path / "file"
    for content in (b"long content", b"short", b""):
        write_durably(path, content)
        assert content == path.read_bytes()
        assert list_all(tmp_path) == ["file"]


@pytest.mark.parametrize("operation", ["fsync", "replace"])
def test_failed_write_leaves_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """If any step of a write fails, the file has the old content, and nothing else is left."""
    path = tmp_path / "file"
    write_durably(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError("refused")

    monkeypatch.setattr(os, operation, refuse)
    with pytest.raises(OSError, match="refused"):
        write_durably(path, b"new")

    assert path.read_bytes() == b"old"
    assert list_all(tmp_path) == ["file"]


def test_content_is_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File, rename and folder are synced in this order."""
    steps: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        note = lambda *values, name=name, real=real: (steps.append(name), real(*values))  # noqa: E731
        monkeypatch.setattr(os, name, note)

    write_durably(tmp_path / "file", b"new")

    assert steps == ["fsync", "replace", "fsync"]


def test_writers_at_once_leave_one_content(tmp_path: Path) -> None:
    """If many write one file at once, none fails, and the file has one whole content."""
    path, failures = tmp_path / "file", []
    contents = [str(number).encode() * (2000 + 700 * number) for number in range(8)]

    def write(content: bytes) -> None:
        try:
            for _ in range(25):
                write_durably(path, content)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert path.read_bytes() in contents
    assert list_all(tmp_path) == ["file"]


@pytest.mark.parametrize("reference", [Tag("latest"), Tag("x" * 128), DIGEST, Tag("_.-")])
async def test_pointer_is_read_as_written(tmp_path: Path, reference: Tag | Digest) -> None:
    """The content of a tag file is read as it was written."""
    files = TagFiles(tmp_path)
    await files.write(REPOSITORY, reference, POINTER)
    assert await files.read(REPOSITORY, reference) == POINTER


async def test_absent_pointer_is_none(tmp_path: Path) -> None:
    """There is no tag file for other repositories and other references."""
    files = TagFiles(tmp_path)
    await files.write(REPOSITORY, Tag("latest"), POINTER)

    assert await files.read(REPOSITORY, Tag("other")) is None
    assert await files.read(Repository("docker.io", "a/b"), Tag("latest")) is None


async def test_names_do_not_clash(tmp_path: Path) -> None:
    """A tag, a digest and another repository with similar names have different files."""
    files = TagFiles(tmp_path)
    places = [
        (Repository("docker.io", "a"), Tag("b")),
        (Repository("docker.io", "a/b"), Tag("b")),
        (Repository("docker.io", "a"), Tag(f"digest-sha256-{DIGEST.encoded}")),
        (Repository("docker.io", "a"), DIGEST),
    ]
    for number, (repository, reference) in enumerate(places):
        await files.write(repository, reference, TagTarget(str(DIGEST), "x", float(number)))

    found = [await files.read(*place) for place in places]
    assert [pointer.seen for pointer in found if pointer] == [0.0, 1.0, 2.0, 3.0]


async def test_pointers_at_once(tmp_path: Path) -> None:
    """Two tags of one image that are written at the same time both have whole files."""
    files = TagFiles(tmp_path)
    pointers = [TagTarget(str(DIGEST), "x" * number, float(number)) for number in range(1, 30)]
    await asyncio.gather(*[files.write(REPOSITORY, DIGEST, pointer) for pointer in pointers])
    assert await files.read(REPOSITORY, DIGEST) in pointers


async def test_refusing_disk_is_a_store_error(tmp_path: Path) -> None:
    """A folder that cannot be made is a store error."""
    (tmp_path / REPOSITORY.registry).touch()
    with pytest.raises(StoreError):
        await TagFiles(tmp_path).write(REPOSITORY, Tag("latest"), POINTER)


@pytest.mark.parametrize(
    "unknown",
    ["README", "sha256/README", "md5/ab/abc", "sha256/ab/short", f"sha256/00/{DIGEST.encoded}"],
)
async def test_scan_passes_unknown_files_over(tmp_path: Path, unknown: str) -> None:
    """A file that is not a blob is not listed, and does not stop the scan."""
    blob = tmp_path / "sha256" / DIGEST.encoded[:2] / DIGEST.encoded
    for path in (blob, tmp_path / unknown):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"manifest")

    assert [found async for found in DiskStore(tmp_path, tmp_path).scan()] == [(DIGEST, 8)]


async def test_scan_of_an_empty_store(tmp_path: Path) -> None:
    """An empty folder has no blobs."""
    assert [found async for found in DiskStore(tmp_path, tmp_path).scan()] == []


def test_a_folder_is_found_as_it_is(tmp_path: Path) -> None:
    """An existing data folder is found by any path, and nothing is made in it."""
    made = open_folder(tmp_path)
    made.quarantine.rmdir()
    before = list_all(tmp_path)
    assert find_folder(tmp_path) == made
    assert list_all(tmp_path) == before


def test_what_is_no_data_folder_is_not_found(tmp_path: Path) -> None:
    """A missing folder, or one without a layout, is an error, and nothing is made."""
    for root, why in ((tmp_path, "is no data folder"), (tmp_path / "missing", "does not exist")):
        with pytest.raises(StoreError, match=why):
            find_folder(root)
    assert list_all(tmp_path) == []


def test_a_strange_or_newer_folder_is_not_found(tmp_path: Path) -> None:
    """A layout that is newer or not a number is an error for commands too."""
    (tmp_path / "LAYOUT").write_text(f"{LAYOUT + 1}\n")
    with pytest.raises(StoreTooNew):
        find_folder(tmp_path)
    (tmp_path / "LAYOUT").write_text("one")
    with pytest.raises(StoreError, match="number"):
        find_folder(tmp_path)


def test_another_programs_catalog_is_not_taken_over(tmp_path: Path) -> None:
    """A folder with a catalog and without a layout is refused and not changed."""
    (tmp_path / "catalog.db").write_bytes(b"mine")
    with pytest.raises(StoreError, match="LAYOUT"):
        open_folder(tmp_path)
    assert list_all(tmp_path) == ["catalog.db"]
