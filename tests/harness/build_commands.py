"""Commands that build a program which is driven or measured."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class BuildBroken(Exception):
    """A command that builds a program has failed: a server with sources, or the compiler."""


def run_build(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, longest: float
) -> str:
    """Run a command in `folder` for at most `longest` seconds, and return what it prints.

    `environment` is added to the environment of this process, and replaces what it has.

    Raises:
        BuildBroken: the command has failed; the message has the end of what it said.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=longest,
        check=False,
    )
    if done.returncode != 0:
        said = f"exit {done.returncode}: {done.stderr.strip()[-2000:]}"
        raise BuildBroken(f"{' '.join(command)}: {said}")
    return done.stdout
