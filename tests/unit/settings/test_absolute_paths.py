"""Laws of absolute paths: they lead to the same file, and have no `..`."""

from pathlib import Path

import pytest

from registry.settings.places import make_absolute


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("one.toml", "here/one.toml"),
        ("../one.toml", "one.toml"),
        ("../here/./../one.toml", "one.toml"),
        # The folder above a link is the one above what it leads to.
        ("link/../one.toml", "far/one.toml"),
        # A link after the last `..`, or without one, stays.
        ("../here/link/one.toml", "here/link/one.toml"),
        ("link/one.toml", "here/link/one.toml"),
        ("..", "."),
    ],
)
def test_an_absolute_path_has_no_dots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, expected: str
) -> None:
    """It leads to the same file."""
    for folder in ("here", "far/away"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "here/link").symlink_to(tmp_path / "far/away")
    monkeypatch.chdir(tmp_path / "here")
    assert make_absolute(Path(path)) == tmp_path / expected
