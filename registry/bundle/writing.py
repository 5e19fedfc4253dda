"""Writing a bundle: as one tar to a file or a stream, or as a folder."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import aiofiles.os

from registry.bundle.archive import END, Member, pad, write_header
from registry.bundle.contents import Contents, Item
from registry.store.folder import sync_folder

PIECE = 1024 * 1024  # bytes read and written at a time
Tell = Callable[[int], None]


async def write_stream(contents: Contents, stream: BinaryIO, tell: Tell) -> None:
    """Write the tar to a pipe, a tape, or whatever cannot go back.

    Raises:
        StoreError, BundleInvalid: a blob could not be read, so the stream has ended early.
        OSError: nobody takes it.
    """
    for member, item in contents.list_items():
        await _write_member(contents, member, item, stream, tell)
    stream.write(END)
    stream.flush()


async def _write_member(
    contents: Contents, member: Member, item: Item | None, stream: BinaryIO, tell: Tell
) -> None:
    write = aiofiles.os.wrap(stream.write)
    await write(write_header(member.name, member.size))
    await _write_content(contents, member, item, stream)
    await write(bytes(pad(member.size) - member.size))
    if item is not None:
        tell(member.size)


async def write_file(contents: Contents, path: Path, tell: Tell) -> None:
    """Write the tar to a file, which has its name only when it is whole.

    What an interrupted writing of the same bundle has left in `<name>.part` is gone on with: whole
    blobs in it are read again, and kept as long as they are right.

    Raises:
        StoreError, BundleInvalid: a blob could not be read.
        OSError: the disk refused.
    """
    part = path.with_name(f"{path.name}.part")
    with part.open("r+b" if part.exists() else "w+b") as file:
        for member, item in contents.list_items():
            if not await aiofiles.os.wrap(_is_written)(contents, member, item, file):
                await _write_member(contents, member, item, file, tell)
            elif item is not None:
                tell(member.size)
        await aiofiles.os.wrap(_finish)(file)
    part.replace(path)
    sync_folder(path.parent)


def _is_written(contents: Contents, member: Member, item: Item | None, file: BinaryIO) -> bool:
    """Whether a file of the bundle is there already; else the place to write it is made ready."""
    header = write_header(member.name, member.size)
    start = member.offset - len(header)
    file.seek(start)
    padding = member.end - member.offset - member.size
    if (
        file.read(len(header)) == header
        and _has_content(contents, member, item, file)
        and file.read(padding) == bytes(padding)
    ):
        return True
    file.seek(start)
    file.truncate()
    return False


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
    file.flush()
    os.fsync(file.fileno())


async def write_folder(contents: Contents, folder: Path, tell: Tell) -> None:
    """Write the bundle as a folder with the same names; files that are there whole are kept.

    `bundle.json` comes last: without it the folder is no bundle.

    Raises:
        StoreError, BundleInvalid: a blob could not be read.
        OSError: the disk refused.
    """
    files = sorted(contents.list_items(), key=lambda each: each[0].name == "bundle.json")
    for member, item in files:
        path = folder / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not await aiofiles.os.wrap(_is_whole)(contents, member, item, path):
            part = path.with_name(f"{path.name}.part")
            with part.open("wb") as file:
                await _write_content(contents, member, item, file)
                await aiofiles.os.wrap(_sync)(file)
            part.replace(path)
            sync_folder(path.parent)
        if item is not None:
            tell(member.size)


async def _write_content(
    contents: Contents, member: Member, item: Item | None, file: BinaryIO
) -> None:
    write = aiofiles.os.wrap(file.write)
    if item is None:
        await write(contents.head[member.name])
        return
    async for piece in contents.read(item):
        await write(piece)


def _is_whole(contents: Contents, member: Member, item: Item | None, path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _has_content(contents, member, item, file) and not file.read(1)
    except FileNotFoundError:
        return False


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
