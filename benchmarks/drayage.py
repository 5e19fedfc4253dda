"""drayage from PyPI, installed once into a virtual environment of its own and kept."""

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

VERSION = "0.2.9"
PATIENCE = 180.0  # seconds to make the environment and install


class DrayageMissing(Exception):
    """It cannot be had here; says why."""


def cache_folder() -> Path:
    """Return the folder for what is made once and kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "entrepot-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def find_drayage() -> Path:
    """Return the program, installing it on first use.

    Raises:
        DrayageMissing: there is no package index, or it has no wheel for this machine.
    """
    folder = cache_folder() / f"drayage-{VERSION}"
    program = folder / "venv" / "bin" / "drayage"
    if program.is_file():
        return program
    folder.mkdir(exist_ok=True)
    pip = [str(folder / "venv/bin/python"), "-m", "pip"]
    with tempfile.TemporaryFile("w+") as output:
        for command in (
            [sys.executable, "-m", "venv", str(folder / "venv")],
            [*pip, "install", "--retries=1", "--timeout=20", f"drayage=={VERSION}"],
        ):
            try:
                subprocess.run(command, check=True, stdout=output, stderr=output, timeout=PATIENCE)  # noqa: S603 - programs of the bench, and no shell
            except (OSError, subprocess.SubprocessError) as error:
                output.seek(0)
                said = output.read().strip().splitlines()[-1:] or [type(error).__name__]
                raise DrayageMissing(f"pip cannot install drayage=={VERSION}: {said[0]}") from error
    return program
