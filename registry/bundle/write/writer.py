"""Writing a bundle: a tar file, a stream, or a folder; and the checksums of volumes."""

import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from registry.bundle.format.tar import END, Member, is_file_name, pad, write_header
from registry.bundle.write.layout import Contents, Item
from registry.errors import StoreError
from registry.store.files import open_new, sync_folder, write_durably
from registry.tasks import in_thread

PIECE = 1024 * 1024  # bytes read and written at a time
_SUMS = "SHA256SUMS"
Report = Callable[[int], None]  # called with the size of each blob that was written


async def write_stream(contents: Contents, stream: BinaryIO, report: Report) -> None:
    """Write the tar to a stream, such as a pipe or a tape.

    Raises:
        StoreError, BundleInvalid: a blob could not be read, so the stream is incomplete.
        OSError: the stream cannot be written.
    """
    for member, item in contents.list_items():
        await _write_member(contents, member, item, stream, report)
    await in_thread(stream.write, END)
    await in_thread(stream.flush)


async def _write_member(
    contents: Contents, member: Member, item: Item | None, stream: BinaryIO, report: Report
) -> None:
    await in_thread(stream.write, write_header(member.name, member.size))
    await _write_content(contents, member, item, stream)
    await in_thread(stream.write, bytes(pad(member.size) - member.size))
    if item is not None:
        report(member.size)


async def write_file(contents: Contents, path: Path, report: Report) -> None:
    """Write the tar to `<name>.part`, and rename it when it is complete.

    If an interrupted run left a `<name>.part`, its files are hashed, and those before the first
    wrong file are kept. A complete file is not written again.

    Raises:
        StoreError: a blob could not be read, or another process is writing this file.
        BundleInvalid: a blob has changed on disk.
        OSError: the disk failed.
    """
    if await in_thread(_is_finished, contents, path):
        report(sum(item.size for item in contents.items))
        return
    part = path.with_name(f"{path.name}.part")
    with _open_part(part) as file:
        for member, item in contents.list_items():
            if not await in_thread(_is_written, contents, member, item, file):
                await in_thread(_clear, member, file)
                await _write_member(contents, member, item, file, report)
            elif item is not None:
                report(member.size)
        await in_thread(_finish, file)
        part.replace(path)
    sync_folder(path.parent)


def _open_part(path: Path) -> BinaryIO:
    """Open the partial file and lock it; the lock is freed when the file is closed."""
    # A link is not followed: others may be able to write to this folder.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.fdopen(os.open(path, flags, 0o644), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise StoreError(str(path), "is being written by another process; wait for it") from error
    return file


def _is_finished(contents: Contents, path: Path) -> bool:
    """Whether the file exists and has exactly the bytes of the archive."""
    if not path.is_file() or path.stat().st_size != contents.measure():
        return False
    with path.open("rb") as file:
        files = contents.list_items()
        is_same = all(_is_written(contents, member, item, file) for member, item in files)
        return is_same and file.read() == END


def _is_written(contents: Contents, member: Member, item: Item | None, file: BinaryIO) -> bool:
    header = write_header(member.name, member.size)
    file.seek(member.offset - len(header))
    padding = member.end - member.offset - member.size
    return (
        file.read(len(header)) == header
        and _has_content(contents, member, item, file)
        and file.read(padding) == bytes(padding)
    )


def _clear(member: Member, file: BinaryIO) -> None:
    """Go to the place where a member begins, and truncate the file there."""
    file.seek(member.offset - len(write_header(member.name, member.size)))
    file.truncate()


def _has_content(contents: Contents, member: Member, item: Item | None, file: BinaryIO) -> bool:
    if item is None:
        return file.read(member.size) == contents.head[member.name]
    hasher, left = item.check.hasher(), member.size
    while left and (piece := file.read(min(left, PIECE))):
        hasher.update(piece)
        left -= len(piece)
    return not left and hasher.hexdigest() == item.check.encoded


def _finish(file: BinaryIO) -> None:
    file.write(END)
    file.truncate()
    _sync(file)


async def write_folder(contents: Contents, folder: Path, report: Report) -> None:
    """Write the bundle as a folder with the same file names; correct files are not written again.

    `bundle.json` is written last, since a folder without it is not a bundle. Files of another
    bundle in the folder are removed.

    Raises:
        StoreError: a blob could not be read, or the folder has files that no bundle has.
        BundleInvalid: a blob has changed on disk.
        OSError: the disk failed.
    """
    await in_thread(_clear_folder, contents, folder)
    files = sorted(contents.list_items(), key=lambda each: each[0].name == "bundle.json")
    for member, item in files:
        await _write_one(contents, member, item, folder / member.name)
        if item is not None:
            report(member.size)


def _clear_folder(contents: Contents, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = {member.name for member in contents.list_members()}
    others = [path for path in sorted(folder.rglob("*")) if not path.is_dir() or path.is_symlink()]
    others = [path for path in others if str(path.relative_to(folder)) not in names]
    for path in others:
        if not is_file_name(str(path.relative_to(folder)).removesuffix(".part")):
            raise StoreError(
                str(path), "is not a file of a bundle; name an empty folder with --output"
            )
    lock = folder / "bundle.json"
    if lock.exists() and lock.read_bytes() != contents.head["bundle.json"]:
        lock.unlink()
    for path in others:
        path.unlink()


async def _write_one(contents: Contents, member: Member, item: Item | None, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if await in_thread(_is_whole, contents, member, item, path):
        return
    part = path.with_name(f"{path.name}.part")
    with open_new(part) as file:
        await _write_content(contents, member, item, file)
        await in_thread(_sync, file)
    part.replace(path)
    sync_folder(path.parent)


async def _write_content(
    contents: Contents, member: Member, item: Item | None, file: BinaryIO
) -> None:
    if item is None:
        await in_thread(file.write, contents.head[member.name])
        return
    async for piece in contents.read(item):
        await in_thread(file.write, piece)


def _is_whole(contents: Contents, member: Member, item: Item | None, path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _has_content(contents, member, item, file) and not file.read(1)
    except FileNotFoundError:
        return False


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def write_checksums(folder: Path, paths: list[Path]) -> Path:
    """Write `SHA256SUMS` for `sha256sum -c`, from the bytes that are on the disk now.

    Lines about other files that still exist are kept.
    """
    sums, lines = folder / _SUMS, []
    for path in paths:
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    written = {path.name for path in paths}
    for line in sums.read_text().splitlines(keepends=True) if sums.is_file() else ():
        name = line.rstrip("\n").partition("  ")[2]
        if name and name not in written and (folder / name).is_file():
            lines.append(line)
    lines.sort(key=lambda each: each.partition("  ")[2])
    write_durably(sums, "".join(lines).encode())
    return sums
