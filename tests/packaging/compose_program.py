"""The compose command: the machine's own, or one built once from the Go module proxy.

Debian 12 has only compose 1.29, which refuses a project's `name`. The newest version that still
speaks with Debian's engine (20.10) is pinned here.
"""

from __future__ import annotations

import shutil
import subprocess

from tests.harness import go_programs
from tests.harness.go_programs import GoProgram

PROGRAM = GoProgram("docker-compose", "github.com/docker/compose/v2/cmd", "v2.40.3", "require")


def command() -> list[str]:
    """Return the words that start compose, building it on first use (about three minutes).

    Raises:
        GoMissing: no compose here, none cached, and no `go` to build it with.
        BuildBroken: the module proxy or the compiler said no.
    """
    if not PROGRAM.place.is_file() and _installed():
        return ["docker", "compose"]
    return [str(go_programs.build(PROGRAM))]


def _installed() -> bool:
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(
        ["docker", "compose", "version"], capture_output=True, timeout=20, check=False
    )
    return asked.returncode == 0
