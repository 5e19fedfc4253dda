"""What commands on a data folder refuse before they open it."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli.main import build_cli

SOMEBODY = 65534


@pytest.fixture
def data() -> Iterator[Path]:
    """Yield an empty data folder of root that only root may look into, in a folder for all."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "data"
        folder.mkdir(mode=0o700)
        yield folder


def run(folder: Path, words: list[str]) -> Result:
    return CliRunner().invoke(build_cli(), words, env={"ENTREPOT_STORAGE__PATH": str(folder)})


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
@pytest.mark.parametrize("words", [["images", "ls"], ["images", "warm", "app:1"]])
def test_a_closed_folder_of_another_user_is_named_with_its_owner(
    data: Path, words: list[str]
) -> None:
    """A user who may not look into the data folder learns which user may."""
    run(data / "none", ["images", "ls"])  # imports what the other user may not be able to read
    os.seteuid(SOMEBODY)
    try:
        done = run(data, words)
    finally:
        os.seteuid(0)
    assert done.exit_code == 2
    assert f"{data} belongs to user 0; run this as that user, such as: sudo -u root" in done.stderr
