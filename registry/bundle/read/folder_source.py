"""A bundle in a folder: the files that an archive would have, under the same names."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from registry.bundle.format.tar import Member, build_member, is_file_name
from registry.bundle.read.flaws import Flaws
from registry.bundle.read.sources import PIECE, BundleSource, Extent, Shape
from registry.errors import BundleForeign, BundleInvalid

MAX_MEMBERS = 250_000  # more than a lock can name
_SMALL_FILES = (
    "bundle.json",
    "bundle.json.sig",
    "volume.json",
    "oci-layout",
    "index.json",
    "manifest.json",
    "extras.json",
    "README.txt",
)


class FolderSource(BundleSource):
    """The files of a folder. Links in it are not followed."""

    shape: Shape = "folder"

    def __init__(self, folder: Path) -> None:
        self.label = str(folder)
        self.flaws = Flaws()
        self._folder = folder

    def list_members(self) -> Iterator[Member]:
        """Yield the small files, `bundle.json` first, then the blobs."""
        for name in (*_SMALL_FILES, *self._list_blobs()):
            try:
                with self._open(name) as file:
                    size = os.fstat(file.fileno()).st_size
            except FileNotFoundError:
                continue  # the lock says which files have to be there
            except BundleInvalid as error:
                self.flaws.note(error)
                continue
            yield build_member(name, 0, size)

    def _list_blobs(self) -> list[str]:
        found: list[str] = []
        for folder in ("blobs/sha256", "blobs/sha512"):
            if not self._is_own(folder):
                continue
            with os.scandir(self._folder / folder) as entries:
                for entry in entries:
                    if is_file_name(name := f"{folder}/{entry.name}"):
                        found.append(name)
                        if len(found) > MAX_MEMBERS:
                            raise BundleInvalid(folder, f"more than {MAX_MEMBERS} files are in it")
        return sorted(found)

    def _is_own(self, folder: str) -> bool:
        path = self._folder / folder
        if not path.is_dir():
            return False
        if path.resolve() != self._folder.resolve() / folder:
            self.flaws.note(BundleForeign(str(path), "it is a link to another folder"))
            return False
        return True

    def _open(self, name: str) -> BinaryIO:
        """Open a regular file; refuse links, pipes and devices."""
        path = self._folder / name
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise BundleForeign(str(path), "it is a link or a socket") from error
            raise BundleInvalid(str(path), error.strerror or str(error)) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise BundleForeign(str(path), "it is not a regular file")
        return os.fdopen(descriptor, "rb", buffering=0)

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file of the folder."""
        left = member.size
        try:
            with self._open(member.name) as file:
                while left and (piece := file.read(min(PIECE, left))):
                    left -= len(piece)
                    yield piece
        except OSError as error:
            raise BundleInvalid(member.name, error.strerror or str(error)) from error
        if left:
            raise BundleInvalid(member.name, "it became shorter while it was read")

    def locate(self, member: Member) -> list[Extent]:
        """Return the path of the file as one extent."""
        return [Extent(self._folder / member.name, 0, member.size)]
