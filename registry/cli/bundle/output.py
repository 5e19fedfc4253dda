"""Where a bundle goes: a file, a stream, a folder or volumes; and what is told of it."""

import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import typer

from registry.cli.bundle.info import describe_share
from registry.cli.terminal import format_bytes, format_count, make_table, open_progress, print_table
from registry.errors import BundleInvalid, SettingsError, StoreError
from registry.settings.values import Refusal, parse_size

if TYPE_CHECKING:
    from registry.bundle.format.lock import Lock
    from registry.bundle.write.layout import Contents
    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest

STDOUT = "-"
_CURE = "remove it, or name another"
_UNIT = re.compile(r"([KMGT]i?)$")  # 4G, as other programs have it, is 4GB
# What fits: FAT32's largest file; a DVD+R less what its file system takes.
_PRESETS = MappingProxyType({"fat32": 2**32 - 1, "dvd": 4_700_372_992 - 2**24})


@dataclass(frozen=True, slots=True)
class OutputTarget:
    """Where to write; `limit` in bytes is None for one piece."""

    path: Path
    is_folder: bool = False
    limit: int | None = None

    @property
    def is_stdout(self) -> bool:
        """Whether to write to stdout, where then nothing else goes."""
        return str(self.path) == STDOUT

    def name_volumes(self, count: int) -> list[Path]:
        """Return the paths of `count` volumes, whose names sort by number."""
        path = self.path / "bundle.tar" if self.is_folder else self.path
        stem = path.name.removesuffix(".tar")
        names = [f"{stem}-{number:04}-of-{count:04}.tar" for number in range(1, count + 1)]
        return [path.with_name(name) for name in names]


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """What was asked for beside the images: where to, signed with what, told how."""

    target: OutputTarget
    key: Path | None = None
    is_dry: bool = False
    as_json: bool = False


def parse_limit(text: str) -> int | None:
    """Read `--volume-size`: fat32, dvd, or a size in bytes; None where nothing is to be cut.

    Raises:
        SettingsError: it is no size.
    """
    try:
        return (_PRESETS.get(text) or parse_size(_UNIT.sub(r"\1B", text))) if text else None
    except Refusal as error:
        raise SettingsError("--volume-size", error.why, f"{error.cure}, fat32 or dvd") from error


def parse_target(output: str, limit: int | None) -> OutputTarget:
    """Read `--output`: `-`, a folder that exists or ends in `/`, or a file.

    Raises:
        SettingsError: volumes cannot go there.
    """
    if output == STDOUT and limit is not None:
        raise SettingsError("--output", "stdout is one stream", "name a file for volumes")
    return OutputTarget(Path(output), output.endswith("/") or Path(output).is_dir(), limit)


async def deliver(archives: "list[Contents]", target: OutputTarget) -> list[Path]:
    """Write a bundle, or its volumes, to where it goes, and return the files; none for stdout.

    Raises:
        StoreError, BundleInvalid: a blob cannot be read, or the target cannot be written.
        OSError: the disk refused.
    """
    from registry.bundle.write.writer import (  # noqa: PLC0415
        write_checksums,
        write_file,
        write_folder,
        write_stream,
    )

    files = assign(archives, target)
    total = sum(item.size for archive in archives for item in archive.items)
    with open_progress("writing", total) as progress:

        def tell(size: int) -> None:
            progress.advance(progress.task_ids[0], size)

        if target.is_stdout:
            await write_stream(archives[0], sys.stdout.buffer, tell)
        elif target.is_folder and target.limit is None:
            await write_folder(archives[0], target.path, tell)
        else:
            files[0][0].parent.mkdir(parents=True, exist_ok=True)
            for path, contents in files:
                await write_file(contents, path, tell)
    paths = [path for path, _ in files]
    if target.limit is not None:
        paths.append(write_checksums(paths[0].parent, paths))
    return paths


def assign(archives: "list[Contents]", target: OutputTarget) -> "list[tuple[Path, Contents]]":
    """Return what goes to which path (a file, or the one folder); writes nothing yet.

    Raises:
        StoreError: another bundle stands there, there is no folder for it, or no room.
    """
    if target.is_stdout:
        return []
    paths = [target.path] if target.limit is None else target.name_volumes(len(archives))
    if target.limit is not None:
        _refuse_others(target, set(paths))
    folder = target.path if target.is_folder else target.path.parent
    if not (folder.is_dir() or target.is_folder):
        raise StoreError(str(folder), "is no folder; make it first")
    files = list(zip(paths, archives, strict=True))
    for path, contents in files:
        _refuse_other(path, contents)
    _refuse_full(folder, files)
    return files


def _refuse_other(path: Path, contents: "Contents") -> None:
    """Leave alone what stands there finished, unless it is of this very bundle."""
    from registry.bundle.read.open import load_lock  # noqa: PLC0415

    finished = path / "bundle.json" if path.is_dir() else path
    if not finished.is_file():
        return
    try:
        found = load_lock(finished).raw
    except BundleInvalid:
        found = b""
    if found != contents.head["bundle.json"]:
        what = "another bundle" if found else "there, and no bundle"
        raise StoreError(str(path), f"is {what}; {_CURE}")


def _refuse_others(target: OutputTarget, planned: set[Path]) -> None:
    """Leave no volumes of two bundles under the same name, nor any within a bundle's folder."""
    first = target.name_volumes(1)[0]
    stem = first.name.removesuffix("-0001-of-0001.tar")
    name = re.compile(rf"{re.escape(stem)}-[0-9]{{4}}-of-[0-9]{{4}}\.tar")
    folder = first.parent
    if (folder / "bundle.json").is_file() and (folder / "blobs").is_dir():
        raise StoreError(str(folder), f"is a bundle's folder; {_CURE}")
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if name.fullmatch(path.name) and path not in planned:
            raise StoreError(str(path), f"is a volume of another bundle, or cut; {_CURE}")


def _refuse_full(folder: Path, files: "list[tuple[Path, Contents]]") -> None:
    """Say before the first byte that the disk has no room; what is there already counts."""
    here = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    lacking = [contents.measure() - _measure_written(path, contents) for path, contents in files]
    wanted = sum(max(0, each) for each in lacking)
    free = shutil.disk_usage(here).free
    if wanted > free:
        why = f"has {format_bytes(free)} free, and the bundle needs {format_bytes(wanted)} more"
        raise StoreError(str(folder), why)


def _measure_written(path: Path, contents: "Contents") -> int:
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    # A file of another size is of another bundle, and stays until this one is whole.
    part, whole = path.with_name(f"{path.name}.part"), contents.measure()
    if path.is_file() and path.stat().st_size == whole:
        return whole
    return part.stat().st_size if part.is_file() else 0


def list_facts(
    lock: "Lock", manifests: "Mapping[Digest, Manifest]", sizes: list[int], *, is_cut: bool
) -> dict[str, Any]:
    """Return what is in a bundle whose archive, or volumes, have these sizes in bytes."""
    from registry.bundle.read.analysis import Analysis  # noqa: PLC0415
    from registry.bundle.read.compatibility import format_readers  # noqa: PLC0415

    analysis = Analysis(lock, manifests)
    return {
        "bundle": lock.bundle_id,
        "mode": lock.mode,
        "images": [describe_share(analysis.measure(image)) for image in lock.images],
        "blobs": len(lock.blobs),
        "size": sum(sizes),
        "volumes": sizes,
        "omitted": {"blobs": len(lock.omitted), "size": sum(size for _, size in lock.omitted)},
        "readers": format_readers(lock, manifests, is_cut=is_cut),
    }


def print_facts(facts: dict[str, Any], order: OutputRequest, files: list[Path]) -> None:
    """Print what was, or would be, written: to stderr where stdout has the bundle itself."""
    if order.is_dry:
        _print_images(facts)
    told = [_summarize(facts, order), facts["readers"], *map(str, files)]
    typer.echo("\n".join(told), err=order.target.is_stdout and not order.is_dry)


def _print_images(facts: dict[str, Any]) -> None:
    table = make_table("IMAGE", "PLATFORMS", "SIZE", "UNIQUE", numbers=("SIZE", "UNIQUE"))
    for each in facts["images"]:
        platforms = ", ".join(each["platforms"]) or ("signature" if each["extra"] else "")
        table.add_row(
            each["name"], platforms, format_bytes(each["size"]), format_bytes(each["unique"])
        )
    print_table(table)


def _summarize(facts: dict[str, Any], order: OutputRequest) -> str:
    verb = "would write" if order.is_dry else "wrote"
    images = sum(not each["extra"] for each in facts["images"])
    told = f"{verb} {facts['bundle']}: {format_count(images, 'image')}"
    told += f", {format_count(facts['blobs'], 'blob')}"
    told += f", {format_bytes(facts['size'])}"
    if order.target.limit is not None:
        told += f" in {format_count(len(facts['volumes']), 'volume')}"
    if facts["omitted"]["blobs"]:
        omitted = facts["omitted"]
        layers, size = format_count(omitted["blobs"], "layer"), format_bytes(omitted["size"])
        told += f"; left out: {layers}, {size}"
    return told + (", signed" if order.key else "")
