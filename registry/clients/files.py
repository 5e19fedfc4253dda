"""Reading and replacing the files of clients, below `/` or another root."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from registry.errors import ClientFileInvalid

_LARGEST = 4 * 1024 * 1024  # bytes; configurations have a few thousand
_OPEN, _CLOSED = 0o644, 0o600


class ClientFiles:
    """The files below a folder, by the paths that a client sees: for it, the folder is `/`."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))

    def locate(self, path: PurePosixPath) -> Path:
        """Return where a file is, behind all links.

        Raises:
            ClientFileInvalid: a link leads out of the root.
        """
        place = Path(os.path.realpath(self._root / path.relative_to("/")))
        if not place.is_relative_to(self._root):
            raise ClientFileInvalid(str(path), 0, f"a link leads to {place}", "change it by hand")
        return place

    def follow(self, path: PurePosixPath) -> PurePosixPath:
        """Return the path of what a path leads to, behind all links.

        Raises:
            ClientFileInvalid: a link leads out of the root.
        """
        return PurePosixPath("/", self.locate(path).relative_to(self._root))

    def read(self, path: PurePosixPath) -> bytes | None:
        """Return the content of a file; None if there is none.

        Raises:
            ClientFileInvalid: it is no regular file, or is too large for a configuration.
            OSError: it cannot be read.
        """
        place = self.locate(path)
        try:
            state = place.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(state.st_mode):
            raise ClientFileInvalid(str(path), 0, "it is no file", "move it away")
        if state.st_size > _LARGEST:
            raise ClientFileInvalid(str(path), 0, "it has more than 4 MiB", "change it by hand")
        return place.read_bytes()

    def copy(self, path: PurePosixPath, copy: PurePosixPath, content: bytes) -> None:
        """Write a copy of a file, with its mode, owner and times; `content` may be another one.

        Raises:
            OSError: the disk refused.
        """
        place = self.locate(path)
        with _write_beside(place, content) as written:
            if place.exists():
                _keep_state(place, written)
                shutil.copystat(place, written)
            target = self.locate(copy)
            written.replace(target)
            _sync(target.parent)

    def write(self, path: PurePosixPath, content: bytes, *, is_secret: bool) -> None:
        """Replace a file at once; a former one keeps its mode and owner, and links stay links.

        Raises:
            OSError: the disk refused; the former content is still there.
        """
        place = self.locate(path)
        with _write_beside(place, content) as written:
            if place.exists():
                _keep_state(place, written)
            else:
                written.chmod(_CLOSED if is_secret else _OPEN)
            written.replace(place)
            _sync(place.parent)

    def delete(self, path: PurePosixPath) -> None:
        """Delete a file, if it is there.

        Raises:
            OSError: the disk refused.
        """
        self.locate(path).unlink(missing_ok=True)

    def is_open(self, path: PurePosixPath) -> bool:
        """Whether users other than the owner may read a file."""
        place = self.locate(path)
        return place.exists() and bool(place.stat().st_mode & 0o077)

    def make_folder(self, path: PurePosixPath) -> tuple[PurePosixPath, ...]:
        """Make a folder, and return those that were missing, the innermost first.

        Raises:
            OSError: the disk refused; what was made for it is removed again.
        """
        missing = [each for each in (path, *path.parents) if not self.locate(each).exists()]
        try:
            self.locate(path).mkdir(parents=True, exist_ok=True)
        except OSError:
            self.remove_folders(missing)
            raise
        return tuple(missing)

    def remove_folders(self, folders: Iterable[PurePosixPath]) -> tuple[PurePosixPath, ...]:
        """Remove those folders that are empty, and return the others that exist."""
        inner_first = sorted({*folders}, key=lambda each: len(each.parts), reverse=True)
        for folder in inner_first:
            with suppress(OSError):
                self.locate(folder).rmdir()
        return tuple(each for each in inner_first if self.locate(each).exists())


@contextmanager
def _write_beside(place: Path, content: bytes) -> Iterator[Path]:
    """Write a file beside another one, and delete it at the end if it is still there."""
    descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _keep_state(former: Path, new: Path) -> None:
    """Give a new file the mode and the owner of the former one."""
    state = former.stat()
    if (state.st_uid, state.st_gid) != (new.stat().st_uid, new.stat().st_gid):
        os.chown(new, state.st_uid, state.st_gid)
    new.chmod(stat.S_IMODE(state.st_mode))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
