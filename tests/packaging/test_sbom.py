"""The wheel carries an SBOM (PEP 770), which names exactly what is installed with the wheel."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging import context
from tests.packaging.sbom import LIST_INSTALLED, list_named, read_installed

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def finish(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    checkout = folder / "checkout"
    checkout.mkdir()
    context.prepare(checkout)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder)
    finish(*PIP, "wheel", *options, checkout)
    (built,) = folder.glob("*.whl")
    return built


def test_the_sbom_names_what_the_wheel_brings(wheel: Path, tmp_path: Path) -> None:
    """Each package that pip installs with it, in the same version, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        (sbom,) = [name for name in archive.namelist() if ".dist-info/sboms/" in name]
        document = archive.read(sbom).decode()
    python = tmp_path / "bin" / "python"
    finish(sys.executable, "-m", "venv", "--without-pip", tmp_path)
    links = ("--no-index", "--find-links", context.find_wheels())
    finish(*PIP, "--python", python, "install", *links, wheel)

    installed = read_installed(finish(python, "-c", LIST_INSTALLED))

    assert sbom.endswith("/entrepot.cdx.json")
    assert installed == list_named(document)
