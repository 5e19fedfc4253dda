"""Images that a file needs and does not name: commands that read lists end with exit code 1."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry.cli.main import build_cli


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dockerfile", "ARG V\nFROM nginx:$V\n"),
        ("compose.yaml", "services: {web: {image: 'nginx:${V}'}}\n"),
        ("pod.yaml", "kind: Pod\nspec: {containers: [{name: proxy, image: auto}]}\n"),
    ],
)
def test_explain_fails_if_an_image_is_not_known(tmp_path: Path, name: str, text: str) -> None:
    """It is the same for files of all kinds; the images that are known are shown."""
    config = tmp_path / "entrepot.toml"
    config.write_text(f"storage.path = {json.dumps(str(tmp_path / 'data'))}\n")
    (tmp_path / name).write_text(text)
    words = ["images", "warm", "-f", str(tmp_path / name), "redis:7", "--explain"]
    done = CliRunner().invoke(build_cli(), [*words, "--config", str(config)])
    assert done.exit_code == 1, done.output
    assert "redis:7" in done.stdout
