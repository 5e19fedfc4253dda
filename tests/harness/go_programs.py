"""Go programs that tests drive: built once from the Go module proxy, and kept between runs."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zlib import crc32

from tests.harness.build_commands import run_build

# A version that cannot be built by `go install` needs one of the other ways.
Way = Literal["install", "require", "vendored", "own"]
LONGEST = 3600.0  # seconds for one command of `go`, on a busy machine
# Without symbols and inlining, these programs are built in two thirds of the time; they run for
# seconds. The flags are the same for all, so that what one build compiled serves the next.
_SLIM = ("-trimpath", "-ldflags=-s -w", "-gcflags=all=-l -dwarf=false")
_FAST = ("-trimpath", "-ldflags=-s -w")


class GoMissing(Exception):
    """There is no `go` command to build a program with."""


@dataclass(frozen=True)
class GoProgram:
    """A main package at one version; `name` is what the built file is called.

    `is_fast` builds it as its makers do, for programs whose speed is measured.

    How it is built, by `way`:

    - `install`: by `go install`.
    - `require`: in an empty module that requires it, for modules that exclude other modules: only
      a main module may.
    - `vendored`: in a copy of `module`, whose requirements are in `vendor.mod`: it has no `go.mod`.
    - `own`: `package` is a folder of this project with a `go.mod`; see `describe_own`.
    """

    name: str
    package: str
    version: str
    way: Way = "install"
    module: str = ""
    is_fast: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of the compiler and the linker."""
        return _FAST if self.is_fast else _SLIM

    @property
    def place(self) -> Path:
        """Where the built program is kept; programs built with other flags have other names."""
        flags = crc32(" ".join(self.flags).encode())
        return cache_folder() / f"{self.name}-{self.version}-{flags:08x}"


def cache_folder() -> Path:
    """Where built test programs are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "entrepot-tests"


def describe_own(name: str, folder: Path) -> GoProgram:
    """Return a program whose source is in `folder`; its version is what the files contain."""
    content = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    return GoProgram(name, str(folder), f"{crc32(content):08x}", "own")


def build(program: GoProgram) -> Path:
    """Return the path of the program, building it on first use (half a minute to some minutes).

    Raises:
        GoMissing: not built yet, and there is no `go` to build it with.
        BuildBroken: the module proxy or the compiler said no.
    """
    if program.place.is_file():
        return program.place
    if shutil.which("go") is None:
        raise GoMissing(f"missing: {program.name}, and go to build it with")
    program.place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.place.parent) as scratch:
        built = Path(scratch, "built")
        match program.way:
            case "install":
                _install(program, built)
            case "require":
                _build_required(program, built)
            case "vendored":
                _build_vendored(program, built)
            case "own":
                _build_own(program, built)
        built.replace(program.place)
    return program.place


def _install(program: GoProgram, built: Path) -> None:
    wanted = f"{program.package}@{program.version}"
    _go(built.parent, "install", *program.flags, wanted, GOBIN=str(built.parent / "bin"))
    (installed,) = (built.parent / "bin").iterdir()
    installed.replace(built)


def _build_required(program: GoProgram, built: Path) -> None:
    _go(built.parent, "mod", "init", "scratch")
    _go(built.parent, "get", f"{program.package}@{program.version}")
    _go(built.parent, "build", *program.flags, "-o", str(built), program.package)


def _build_vendored(program: GoProgram, built: Path) -> None:
    source = built.parent / "source"
    wanted = f"{program.module}@{program.version}"
    downloaded = json.loads(_go(built.parent, "mod", "download", "-json", wanted))
    shutil.copytree(downloaded["Dir"], source, copy_function=shutil.copyfile)
    for folder in (source, *(path for path in source.rglob("*") if path.is_dir())):
        folder.chmod(0o755)  # those of the module cache cannot be written
    for name in ("mod", "sum"):
        (source / f"vendor.{name}").rename(source / f"go.{name}")
    _go(source, "build", *program.flags, "-mod=readonly", "-o", str(built), program.package)


def _build_own(program: GoProgram, built: Path) -> None:
    _go(Path(program.package), "build", *program.flags, "-mod=readonly", "-o", str(built), ".")


def _go(folder: Path, *arguments: str, **environment: str) -> str:
    environment = {"GOWORK": "off", "CGO_ENABLED": "0", **environment}
    return run_build(["go", *arguments], folder, environment, longest=LONGEST)
