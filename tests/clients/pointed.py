"""Clients that are pointed at a mirror by `entrepot setup`, with files below another root."""

from __future__ import annotations

import json
from pathlib import Path

from tests.harness.commands import run_command


def write(client: str, root: Path, mirror: str, *options: str) -> Path:
    """Let a client use the mirror with this URL; return its last file."""
    words = ("--mirror", mirror, "--root", str(root), "--write", "--json", *options)
    done = run_command("setup", client, *words)
    assert done.returncode == 0, done.stderr
    path: str = json.loads(done.stdout)["files"][-1]["path"]
    return root / path.removeprefix("/")


def undo(client: str, root: Path) -> None:
    """Let a client be as it was before."""
    done = run_command("setup", client, "--root", str(root), "--undo")
    assert done.returncode == 0, done.stderr
    assert "nothing to undo" not in done.stdout
