"""Programs in Rust that are measured: built once with `cargo`, and kept between runs."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.drayage import cache_folder
from tests.harness.build_commands import run_build

LONGEST = 7200.0  # seconds for one command, on a busy machine


class RustMissing(Exception):
    """There is no `cargo` or no `git` command to build a program with."""


@dataclass(frozen=True)
class RustProgram:
    """A program at one version: a crate of crates.io, or a `repository` of git with a tag.

    `name` is what the program is called, and `crate` its crate.
    """

    name: str
    crate: str
    version: str
    repository: str = ""

    @property
    def place(self) -> Path:
        """Where the built program is kept."""
        return cache_folder() / f"{self.name}-{self.version}"


def build(program: RustProgram) -> Path:
    """Return the path of the program, building it on first use (6 to 15 minutes on two cores).

    Raises:
        RustMissing: not built yet, and there is nothing to build it with.
        BuildBroken: the registry of crates, the repository or the compiler said no.
    """
    if program.place.is_file():
        return program.place
    for command in ("cargo", *(["git"] if program.repository else [])):
        if shutil.which(command) is None:
            raise RustMissing(f"missing: {program.name}, and {command} to build it with")
    with tempfile.TemporaryDirectory(prefix="rust-", dir=cache_folder()) as scratch:
        folder = Path(scratch)
        # Without `--locked`: a mirror of crates.io may lack the newest versions.
        wanted = [f"{program.crate}@{program.version}"]
        if program.repository:
            wanted = ["--path", str(_clone(program, folder))]
        _run(["cargo", "install", "--root", str(folder / "root"), *wanted], folder)
        (folder / "root" / "bin" / program.name).replace(program.place)
    return program.place


def _clone(program: RustProgram, folder: Path) -> Path:
    """Return the sources at the tag, without the pages for browsers, which `npm` would build."""
    source = folder / "source"
    tag = f"v{program.version}"
    _run(["git", "clone", "--depth=1", f"--branch={tag}", program.repository, str(source)], folder)
    (source / "build.rs").unlink(missing_ok=True)
    (source / "ui" / "build").mkdir(parents=True, exist_ok=True)
    return source


def _run(command: list[str], folder: Path) -> None:
    # Whoever sets this keeps what is compiled, so that a build that was stopped can go on.
    target = os.environ.get("CARGO_TARGET_DIR", str(folder / "target"))
    run_build(command, folder, {"CARGO_TARGET_DIR": target}, longest=LONGEST)
