"""Laws of what a server does while it imports its libraries."""

from pathlib import Path

import pytest

from registry.store.data_folder import find_folder
from registry.wiring.data_folder import open_data_folder
from registry.wiring.early import check_catalog
from tests.harness.filled_folder import make_settings


def test_a_sound_catalog_is_sound(tmp_path: Path) -> None:
    """The start believes it, and does not read the catalog again."""
    open_data_folder(make_settings(tmp_path / "data"))

    assert check_catalog(tmp_path / "data") is True


def test_a_damaged_catalog_is_not(tmp_path: Path) -> None:
    """The start believes that too: the file is put aside, and another one is made."""
    settings = make_settings(tmp_path / "data")
    catalog = open_data_folder(settings).catalog
    catalog.write_bytes(b"this is no catalog at all")

    sound = check_catalog(tmp_path / "data")

    assert sound is False
    open_data_folder(settings, sound)
    assert catalog.with_name("catalog.db.broken").read_bytes() == b"this is no catalog at all"


def test_what_was_found_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog of years is read once at a start, and not twice."""
    settings = make_settings(tmp_path / "data")
    open_data_folder(settings)

    def refuse(_: Path) -> bool:
        raise AssertionError("the catalog was read again")

    monkeypatch.setattr("registry.catalog.preparation.is_sound", refuse)
    open_data_folder(settings, sound=True)


def test_no_data_folder_is_no_error(tmp_path: Path) -> None:
    """Whether a folder can be used is said later, and nothing is made here."""
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "LAYOUT").write_bytes(b"99")
    (tmp_path / "empty").mkdir()

    assert [check_catalog(tmp_path / name) for name in ("missing", "empty", "newer")] == [None] * 3
    assert [*(tmp_path / "empty").iterdir()] == []
    assert not (tmp_path / "missing").exists()


def test_a_folder_without_a_catalog_gets_none(tmp_path: Path) -> None:
    """The start has to notice that the catalog is lost."""
    catalog = open_data_folder(make_settings(tmp_path / "data")).catalog
    for each in catalog.parent.glob("catalog.db*"):
        each.unlink()

    assert check_catalog(tmp_path / "data") is None
    assert not find_folder(tmp_path / "data").catalog.exists()
