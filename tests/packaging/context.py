"""A build context that needs no network: what the image is made of, with the wheels beside it."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.harness.go_programs import cache_folder

ROOT = Path(__file__).resolve().parents[2]
PIP_FLAGS = "--no-index --find-links=locks/wheels"
_PARTS = ("Dockerfile", "docker-compose.yml", ".dockerignore", "pyproject.toml")
_PARTS += ("README.md", "README.zh-CN.md", "LICENSE", "SECURITY.md", "Makefile")
_PARTS += ("config", "docs", "locks", "registry")


def prepare(folder: Path) -> None:
    """Copy the project's parts into the empty `folder` and lay the wheels into `locks/wheels`."""
    for part in _PARTS:
        source = ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "wheels")
            shutil.copytree(source, folder / part, ignore=ignored)
        else:
            shutil.copy2(source, folder / part)
    shutil.copytree(find_wheels(), folder / "locks" / "wheels")


def pretend_installed(folder: Path) -> None:
    """Let `make` in `folder` use the Python of this test, as if it had installed all of it."""
    program = folder / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    program.chmod(0o755)
    (folder / ".venv" / "run.stamp").touch()


def find_wheels() -> Path:
    """Return a folder with the locked dependencies, downloaded once for each state of the lock."""
    locks = [ROOT / "locks" / name for name in ("run.txt", "pip.txt")]
    interpreter = f"{sys.version_info.major}.{sys.version_info.minor}"
    state = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()[:16]
    kept = cache_folder() / f"wheels-{interpreter}-{state}"
    if not kept.is_dir():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
        locked = ["--require-hashes", *(f"--requirement={lock}" for lock in locks)]
        # Tests of two files may download at once: each has a folder of its own until it is whole.
        kept.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=kept.parent))
        subprocess.run([*command, "--dest", str(fresh), *locked], check=True, timeout=300)
        try:
            fresh.rename(kept)
        except OSError:  # the other one was first
            shutil.rmtree(fresh)
    return kept
