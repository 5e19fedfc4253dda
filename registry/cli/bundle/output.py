"""Where a bundle is written: to a file, a stream, a folder or volumes."""

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.terminal import format_bytes, show_progress
from registry.errors import BundleInvalid, SettingsError, StoreError
from registry.settings.values import Refusal, parse_size

if TYPE_CHECKING:
    from registry.bundle.read.sources import Shape
    from registry.bundle.write.layout import Contents

STDOUT = "-"
Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="A file, a folder (ends in /), or - for stdout. Never overwrites a different bundle.",
    ),
]
_CURE = "remove it, or write to another place"
_UNIT = re.compile(r"([KMGT]i?)$")  # 4G, as other programs write it, is 4GB
# FAT32's largest file; the space of a DVD+R without what its file system takes.
_PRESETS = MappingProxyType({"fat32": 2**32 - 1, "dvd": 4_700_372_992 - 2**24})


@dataclass(frozen=True, slots=True)
class OutputTarget:
    """Where to write; `limit` is the size of a volume in bytes, None for one piece."""

    path: Path
    is_folder: bool = False
    limit: int | None = None

    @property
    def is_stdout(self) -> bool:
        """Whether the bundle is written to stdout; then nothing else may be printed there."""
        return str(self.path) == STDOUT

    @property
    def shape(self) -> "Shape":
        """What is written: one file or stream, a folder, or volumes."""
        if self.limit is not None:
            return "volumes"
        return "folder" if self.is_folder else "file"

    def name_volumes(self, count: int) -> list[Path]:
        """Return the paths of `count` volumes; sorted by name, they are in the order of numbers."""
        path = self.path / "bundle.tar" if self.is_folder else self.path
        stem = path.name.removesuffix(".tar")
        names = [f"{stem}-{number:04}-of-{count:04}.tar" for number in range(1, count + 1)]
        return [path.with_name(name) for name in names]


def parse_limit(text: str) -> int | None:
    """Read `--volume-size`: fat32, dvd, or a size in bytes; None if the text is empty.

    Raises:
        SettingsError: the text is not a size.
    """
    try:
        return (_PRESETS.get(text) or parse_size(_UNIT.sub(r"\1B", text))) if text else None
    except Refusal as error:
        raise SettingsError("--volume-size", error.why, f"{error.cure}, fat32 or dvd") from error


def parse_target(output: str, limit: int | None) -> OutputTarget:
    """Read `--output`: `-`, a folder that exists or ends in `/`, or a file.

    Raises:
        SettingsError: volumes cannot be written there.
    """
    if output == STDOUT and limit is not None:
        raise SettingsError("--output", "stdout is one stream", "name a file for volumes")
    return OutputTarget(Path(output), output.endswith("/") or Path(output).is_dir(), limit)


async def deliver(
    archives: "list[Contents]", target: OutputTarget, *, quiet: bool = False
) -> list[Path]:
    """Write a bundle, or its volumes, and return the written files; empty for stdout.

    `quiet` shows no progress.

    Raises:
        StoreError, BundleInvalid: a blob cannot be read, or the target cannot be written.
        OSError: the disk cannot be written.
    """
    from registry.bundle.write.writer import (  # noqa: PLC0415
        write_checksums,
        write_file,
        write_folder,
        write_stream,
    )

    files = assign(archives, target)
    total = sum(item.size for archive in archives for item in archive.items)
    with show_progress("writing", total, quiet=quiet) as advance:
        if target.is_stdout:
            await write_stream(archives[0], sys.stdout.buffer, advance)
        elif target.is_folder and target.limit is None:
            await write_folder(archives[0], target.path, advance)
        else:
            files[0][0].parent.mkdir(parents=True, exist_ok=True)
            for path, contents in files:
                await write_file(contents, path, advance)
    paths = [path for path, _ in files]
    if target.limit is not None:
        paths.append(write_checksums(paths[0].parent, paths))
    return paths


def assign(archives: "list[Contents]", target: OutputTarget) -> "list[tuple[Path, Contents]]":
    """Return the path of each archive, which is a file or the only folder; writes nothing.

    Raises:
        StoreError: another bundle is there, the folder is missing, or the disk is too full.
    """
    if target.is_stdout:
        return []
    paths = [target.path] if target.limit is None else target.name_volumes(len(archives))
    if target.limit is not None:
        _refuse_others(target, set(paths))
    folder = target.path if target.is_folder else target.path.parent
    if not (folder.is_dir() or target.is_folder):
        raise StoreError(str(folder), "is not a folder; make it first")
    files = list(zip(paths, archives, strict=True))
    for path, contents in files:
        _refuse_other(path, contents)
    _refuse_full(folder, files)
    return files


def _refuse_other(path: Path, contents: "Contents") -> None:
    """Refuse to overwrite a finished file, unless it contains the same bundle."""
    from registry.bundle.read.open import load_lock  # noqa: PLC0415

    finished = path / "bundle.json" if path.is_dir() else path
    if not finished.is_file():
        return
    try:
        found = load_lock(finished).raw
    except BundleInvalid:
        found = b""
    if found != contents.head["bundle.json"]:
        what = "is another bundle" if found else "exists, and is not a bundle"
        raise StoreError(str(path), f"{what}; {_CURE}")


def _refuse_others(target: OutputTarget, planned: set[Path]) -> None:
    """Refuse volumes next to volumes of another bundle with the same name, or in its folder."""
    first = target.name_volumes(1)[0]
    stem = first.name.removesuffix("-0001-of-0001.tar")
    name = re.compile(rf"{re.escape(stem)}-[0-9]{{4}}-of-[0-9]{{4}}\.tar")
    folder = first.parent
    if (folder / "bundle.json").is_file() and (folder / "blobs").is_dir():
        raise StoreError(str(folder), f"is the folder of another bundle; {_CURE}")
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if name.fullmatch(path.name) and path not in planned:
            raise StoreError(
                str(path), f"is a volume of another bundle, or of another size; {_CURE}"
            )


def _refuse_full(folder: Path, files: "list[tuple[Path, Contents]]") -> None:
    """Refuse before the first byte if the disk has too little space for the missing bytes."""
    here = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    missing = [contents.measure() - _measure_written(path, contents) for path, contents in files]
    wanted = sum(max(0, each) for each in missing)
    free = shutil.disk_usage(here).free
    if wanted > free:
        why = f"has {format_bytes(free)} free, and the bundle needs {format_bytes(wanted)} more"
        why += "; free space there, or name another folder"
        raise StoreError(str(folder), why)


def _measure_written(path: Path, contents: "Contents") -> int:
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    # A file of another size belongs to another bundle: it is not replaced before the end.
    part, whole = path.with_name(f"{path.name}.part"), contents.measure()
    if path.is_file() and path.stat().st_size == whole:
        return whole
    return part.stat().st_size if part.is_file() else 0
