"""Which process listens on a port of this machine, read from `/proc`.

Only processes of the same user, and for root of all users, can be found.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTENING = "0A"  # the state in /proc/net/tcp
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class PortOwner:
    """The process that listens on a port: its number and the name of its program.

    `data` is the data folder if the process is a server of Entrepôt, and otherwise empty.
    """

    pid: int
    program: str
    data: str

    def __str__(self) -> str:
        if self.data:
            return f"another Entrepôt: process {self.pid}, data folder {self.data}"
        return f"{self.program}: process {self.pid}"


def find_port_owner(port: int, proc: Path = _PROC) -> PortOwner | None:
    """Return the process that listens on `port`, on any address; None if it cannot be found.

    If several processes share the socket, it is the one that has started the others.
    """
    sockets = {f"socket:[{inode}]" for inode in _list_inodes(port, proc)}
    sharers = {
        int(folder.name): folder
        for folder in proc.iterdir()
        if sockets and folder.name.isdigit() and not sockets.isdisjoint(_list_open(folder))
    }
    first = next((pid for pid in sorted(sharers) if _find_parent(sharers[pid]) not in sharers), 0)
    if not first:
        return None
    program = ""
    with suppress(OSError):
        program = (sharers[first] / "comm").read_text(errors="replace").strip()
    return PortOwner(first, program or "a program", _find_data(sharers[first]))


def _list_inodes(port: int, proc: Path) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    yield rest[5]


def _list_open(folder: Path) -> Iterator[str]:
    """Yield what the open descriptors of a process lead to; nothing if it may not be read."""
    with suppress(OSError):
        for descriptor in (folder / "fd").iterdir():
            with suppress(OSError):  # closed just now
                yield str(descriptor.readlink())


def _find_parent(folder: Path) -> int:
    with suppress(OSError):
        # The name of the program, in brackets, may contain blanks.
        return int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    return 0


def _find_data(folder: Path) -> str:
    """Return the data folder: a server holds the lock `metrics/<server>/lock` in it."""
    for path in map(Path, _list_open(folder)):
        if path.match("metrics/*/lock") and (path.parents[2] / "LAYOUT").exists():
            return str(path.parents[2])
    return ""
