"""The compose command: the machine's own, or one built once from the Go module proxy.

Debian 12 has only compose 1.29, which refuses a project's `name`. The newest version that still
speaks with Debian's engine (20.10) is pinned here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.conformance.suite import GoMissing, cache_folder

PACKAGE = "github.com/docker/compose/v2/cmd"
VERSION = "v2.40.3"


class ComposeBroken(Exception):
    """Compose could not be built."""


def command() -> list[str]:
    """Return the words that start compose, building it on first use (about three minutes).

    Raises:
        GoMissing: no compose here, none cached, and no `go` to build it with.
        ComposeBroken: the module proxy or the compiler said no.
    """
    built = cache_folder() / f"docker-compose-{VERSION}"
    if built.is_file():
        return [str(built)]
    if _installed():
        return ["docker", "compose"]
    if shutil.which("go") is None:
        raise GoMissing("docker compose is not installed, and there is no go command to build it")
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built.parent) as scratch:
        # Not `go install`: compose excludes modules, which only a main module may.
        _go(scratch, "mod", "init", "scratch")
        _go(scratch, "get", f"{PACKAGE}@{VERSION}")
        _go(scratch, "build", "-ldflags=-s -w", "-o", "docker-compose", PACKAGE)
        Path(scratch, "docker-compose").replace(built)
    return [str(built)]


def _installed() -> bool:
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(
        ["docker", "compose", "version"], capture_output=True, timeout=20, check=False
    )
    return asked.returncode == 0


def _go(folder: str, *arguments: str) -> None:
    done = subprocess.run(
        ["go", *arguments],
        cwd=folder,
        env={**os.environ, "GOWORK": "off"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode != 0:
        raise ComposeBroken(f"go {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
