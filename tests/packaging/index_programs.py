"""Programs of the package index that these tests drive, each installed once and kept."""

from __future__ import annotations

import fcntl
import shutil
import sys
from pathlib import Path

from tests.harness.build_commands import run_build
from tests.harness.go_programs import cache_folder

# kubernetes-validate brings the schemas of Kubernetes' API in each of its versions.
VERSIONS = {"kubernetes-validate": "1.37.0", "pipx": "1.18.4", "uv": "0.13.9"}
LONGEST = 600.0  # seconds for one command of pip, on a busy machine


def install(name: str) -> Path:
    """Return the folder with the commands of a program, installing it on first use.

    Raises:
        BuildBroken: the package index said no.
    """
    folder = cache_folder() / f"{name}-{VERSIONS[name]}-{sys.implementation.cache_tag}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Tests of two files may install at once, and a virtual environment cannot be moved.
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        finished = folder / "finished"
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
            run_build([sys.executable, "-m", "venv", str(folder)], Path("/"), {}, longest=LONGEST)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
            wanted = f"{name}=={VERSIONS[name]}"
            run_build([*pip, "install", wanted], Path("/"), {}, longest=LONGEST)
            finished.touch()
    return folder / "bin"


def prepare() -> str:
    """Install all of them, and say which."""
    return ", ".join(str(install(name)) for name in VERSIONS)
