"""Opening the files that people name on the command line or in the settings.

To open a pipe that nobody writes to waits without end, a device such as `/dev/zero` has no end, and
opening other devices changes them. So only regular files are opened, and only a part is read.
"""

import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path

from registry.errors import SettingsError

_NULL = os.makedev(1, 3)  # /dev/null; people name it for an empty file


class SpecialFile(OSError):
    """A path leads to a pipe, a socket or a device; `kind` is that in words."""

    def __init__(self, path: str, kind: str) -> None:
        self.kind = kind
        super().__init__(0, f"it is {kind}", path)


def open_regular(path: Path) -> FileIO:
    """Open a regular file, or a stream that the shell has opened for this command (`<(...)`).

    Raises:
        SpecialFile: the path leads to anything else.
        OSError: the file cannot be opened.
    """
    state = path.stat()
    if stat.S_ISFIFO(state.st_mode) and _is_inherited(path):
        return path.open("rb", buffering=0)
    _refuse_special(state, str(path))
    file = FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    try:
        _refuse_special(os.fstat(file.fileno()), str(path))  # it may have been replaced just now
    except SpecialFile:
        file.close()
        raise
    return file


def check_readable(key: str, path: str) -> None:
    """Open and close a file that the setting `key` names and that a library will read.

    Raises:
        SettingsError: this user cannot read it.
    """
    try:
        open_regular(Path(path)).close()
    except OSError as error:
        why = f"{path} cannot be read ({error.strerror})"
        raise SettingsError(key, why, "let the user that runs entrepot read it") from error


def read_first(path: Path, most: int) -> bytes:
    """Return the first `most` bytes of a file that `open_regular` opens; `/dev/null` has none.

    To notice a file that is too large, ask for one byte more than is allowed.

    Raises:
        OSError: the file cannot be opened or read; SpecialFile as for `open_regular`.
    """
    if path.stat().st_rdev == _NULL and path.is_char_device():
        return b""
    with BufferedReader(open_regular(path)) as file:
        return file.read(most)


def refuse_device(state: os.stat_result, label: str) -> None:
    """Refuse a terminal, and a device such as /dev/zero, which has no end.

    Raises:
        SpecialFile: it is one of these.
    """
    if stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode):
        raise SpecialFile(label, "a terminal or a device")


def _refuse_special(state: os.stat_result, label: str) -> None:
    if stat.S_ISFIFO(state.st_mode):
        raise SpecialFile(label, "a named pipe")
    if stat.S_ISSOCK(state.st_mode):
        raise SpecialFile(label, "a socket")
    refuse_device(state, label)


def _is_inherited(path: Path) -> bool:
    """Whether a path names an open descriptor of this process: /dev/stdin, /dev/fd/63."""
    return Path(os.path.realpath(path)).parent == Path(f"/proc/{os.getpid()}/fd")
