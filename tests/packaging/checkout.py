"""A checkout of this project with a commit of its own, of which a release can be made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.packaging import context
from tests.packaging.engine import finished

ROOT = Path(__file__).resolve().parents[2]
_IDENTITY = {
    f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
ENVIRONMENT = {**os.environ, **_IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull}
for name in ("MAKEFLAGS", "MAKELEVEL", "SOURCE_DATE_EPOCH"):
    ENVIRONMENT.pop(name, None)


class Checkout:
    """A folder with what git would commit of this checkout, and with a Python to build with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def make(cls, folder: Path) -> Checkout:
        """Write a checkout with one commit into a new folder."""
        made = cls(folder)
        listed = ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        for name in finished(listed, 60).split("\0"):
            if name and (ROOT / name).is_file():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        context.pretend_installed(folder)
        made.git("init", "--quiet")
        made.commit("all")
        return made

    def copy(self, folder: Path) -> Checkout:
        """Copy it into a new folder."""
        return Checkout(shutil.copytree(self.folder, folder, symlinks=True))

    def git(self, *arguments: str) -> str:
        """Run git in it."""
        return finished(["git", *arguments], 60, ENVIRONMENT, self.folder)

    def commit(self, message: str) -> None:
        """Commit all that has changed."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, and wait for its end."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=ENVIRONMENT | variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def build(self, folder: Path, **variables: str) -> Path:
        """Build the files of a release into a new folder, and return it."""
        done = self.run(self.folder / "config/release/build", sys.executable, folder, **variables)
        assert done.returncode == 0, done.stderr
        return folder


def describe(folder: Path) -> dict[str, bytes]:
    """Return what each file of a folder contains, by its name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
