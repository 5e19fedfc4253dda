"""Laws of files that are written: who can read them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from registry.store import files
from registry.store.files import open_new, write_durably


@pytest.fixture
def umask() -> Iterator[None]:
    """The mode of a new file is what the program asks for."""
    former = os.umask(0)
    yield
    os.umask(former)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("is_secret", "mode"), [(True, 0o600), (False, 0o666)])
def test_a_secret_is_private_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_secret: bool, mode: int
) -> None:
    """Whoever could open the file while it was empty could read it later."""
    path, modes = tmp_path / "secret", []

    def note(temporary: Path, *mode: int) -> BinaryIO:
        file = open_new(temporary, *mode)
        modes.append(temporary.stat().st_mode & 0o777)
        return file

    monkeypatch.setattr(files, "open_new", note)

    write_durably(path, b"secret", is_secret=is_secret)

    assert [*modes, path.stat().st_mode & 0o777] == [mode, mode]
    assert path.read_bytes() == b"secret"
