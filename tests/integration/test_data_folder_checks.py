"""Which folder becomes the data folder, which one is refused, and when it is deleted again."""

import errno
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from registry.errors import SettingsError, StoreError, StoreTooNew
from registry.settings.model import Settings
from registry.store.files import take_lock
from registry.wiring import data_folder
from registry.wiring.data_folder import new_data_folder, open_data_folder, temporary_data_folder
from registry.wiring.data_folder_checks import check_before_start, check_data_folder
from tests.harness.filled_folder import make_settings
from tests.integration.wire import list_tree

SOMEBODY = 65534
FOREIGN = [
    ["letters.txt"],
    [".bashrc"],
    ["a/LAYOUT"],
    ["blobs/photo.jpg"],
    ["spool"],
    ["catalog.db"],
    ["tags/docker.io/x", "blobs/sha256/aa"],
    [".new-notes-LAYOUT"],
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The path of a data folder, in a folder that does not exist either."""
    return tmp_path / "a" / "data"


@pytest.fixture
def settings(data: Path) -> Settings:
    return make_settings(data)


def fill(data: Path, names: list[str]) -> None:
    for name in names:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text("dear")


@pytest.mark.parametrize("names", FOREIGN)
def test_files_of_another_program_are_refused(
    data: Path, settings: Settings, names: list[str]
) -> None:
    """Nothing may be deleted or written where somebody else keeps files."""
    fill(data, names)
    before = list_tree(data)

    for refuse in (check_data_folder, check_before_start):
        with pytest.raises(SettingsError, match=r"is no data folder \(it contains "):
            refuse(data)
    for make in (new_data_folder, temporary_data_folder):
        with pytest.raises(SettingsError, match="is no data folder"), make(settings):
            pass
    with pytest.raises(SettingsError, match="is no data folder"):
        open_data_folder(settings)

    assert list_tree(data) == before


@pytest.mark.parametrize(
    "names", [[], ["lost+found/x"], [".snapshot/1"], [".entrepot-trial-ab/blobs/y"], [".probe-12"]]
)
def test_what_a_file_system_or_a_killed_start_has_is_no_obstacle(
    data: Path, settings: Settings, names: list[str]
) -> None:
    """Such a folder becomes the data folder, and what is in it stays."""
    fill(data, names)

    check_before_start(data)
    open_data_folder(settings)

    assert set(list_tree(data)) >= {"LAYOUT", *names}


def test_a_check_changes_nothing(data: Path, tmp_path: Path) -> None:
    """Not even the folder above the data folder is made."""
    check_before_start(data)

    assert list_tree(tmp_path) == []


def test_what_a_start_would_refuse_is_found_before(data: Path, settings: Settings) -> None:
    """A catalog of a newer version, a newer layout, and a file that is no LAYOUT."""
    open_data_folder(settings)
    check_before_start(data)
    with closing(sqlite3.connect(data / "catalog.db")) as catalog:
        catalog.execute("PRAGMA user_version = 999")
    for layout, kind in (("1\n", StoreTooNew), ("99\n", StoreTooNew), ("a plan", SettingsError)):
        (data / "LAYOUT").write_text(layout)
        with pytest.raises(kind) as checked:
            check_before_start(data)
        with pytest.raises(kind) as started:
            open_data_folder(settings)
        assert str(checked.value) == str(started.value)


@pytest.mark.parametrize("path", ["/proc/entrepot", "/sys/entrepot/data"])
def test_a_folder_that_cannot_be_made_is_found_before(path: str) -> None:
    """What the system refuses is tried, in the nearest folder that exists."""
    with pytest.raises(SettingsError, match=f"{path} cannot be used "):
        check_before_start(Path(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_folder_of_another_user() -> None:
    """What this user could not make or open is refused, with the user who can."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        data = Path(place) / "data"
        open_data_folder(make_settings(data))
        owners = {Path(place) / "other": place, data: data, data / "below": data}
        os.seteuid(SOMEBODY)
        try:
            for path, owned in owners.items():
                refused = (
                    rf"{path} cannot be used \(Permission denied\); {owned} belongs to user 0: "
                )
                with pytest.raises(SettingsError, match=refused):
                    check_before_start(path)
                with pytest.raises(SettingsError, match=refused):
                    open_data_folder(make_settings(path))
        finally:
            os.seteuid(0)


def test_nothing_stored_means_no_folder(data: Path, settings: Settings, tmp_path: Path) -> None:
    """What was made is deleted again, up to the folder that was there, whatever ended the work."""
    with new_data_folder(settings) as is_new:
        assert is_new
    assert list_tree(tmp_path) == []
    with pytest.raises(KeyboardInterrupt), new_data_folder(settings):
        raise KeyboardInterrupt
    assert list_tree(tmp_path) == []


@pytest.mark.parametrize(
    "kept", ["blobs/sha256/ab/abc", "tags/docker.io/x", "spool/x.part", "imports.json", "notes.txt"]
)
def test_what_was_stored_keeps_the_folder(data: Path, settings: Settings, kept: str) -> None:
    """Also a part of a blob, from which the next command goes on, and files of any other kind."""
    with new_data_folder(settings):
        fill(data, [kept])

    assert set(list_tree(data)) >= {"LAYOUT", kept}
    with new_data_folder(settings) as is_new:
        assert not is_new


@pytest.mark.parametrize("layout", ["1\n", "99\n", "somebody's plan of a house"])
def test_a_layout_that_was_there_stays(data: Path, settings: Settings, layout: str) -> None:
    """Only what a command has made is deleted again, whatever the file says."""
    fill(data, ["LAYOUT"])
    (data / "LAYOUT").write_text(layout)

    try:
        with new_data_folder(settings):
            pass
    except (SettingsError, StoreError):
        assert layout != "1\n"

    assert (data / "LAYOUT").read_text() == layout


def test_a_dry_run_refuses_what_the_real_run_refuses(data: Path, settings: Settings) -> None:
    """An empty data folder of a newer version is no empty folder."""
    fill(data, ["LAYOUT"])
    (data / "LAYOUT").write_text("99\n")

    for make in (new_data_folder, temporary_data_folder):
        with pytest.raises(StoreTooNew), make(settings):
            pass


def test_a_folder_that_another_command_uses_stays(data: Path, settings: Settings) -> None:
    """Two first commands at once: the one that fails does not delete what the other one uses."""
    with new_data_folder(settings):
        other = sqlite3.connect(data / "catalog.db")
        other.execute("SELECT * FROM tags").fetchall()
    assert (data / "LAYOUT").exists()
    assert other.execute("SELECT * FROM tags").fetchall() == []
    other.close()


def test_a_folder_that_a_server_uses_stays(data: Path, settings: Settings) -> None:
    """A server that started meanwhile keeps its data folder."""
    with new_data_folder(settings):
        (data / "metrics" / "one").mkdir(parents=True)
        (data / "metrics" / "one" / "lock").touch()
        lock = take_lock(data / "metrics" / "one" / "lock")
    assert lock is not None
    os.close(lock)
    assert (data / "LAYOUT").exists()


def test_a_full_disk_leaves_no_half_of_a_folder(
    data: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the system is about the setting, and nothing is left."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(data_folder, "prepare_catalog", refuse)

    with pytest.raises(SettingsError, match="No space left on device"):
        open_data_folder(settings)

    assert list_tree(tmp_path) == []
