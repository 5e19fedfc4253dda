"""Facts about a mirror's processes from the kernel: connections, children and locks."""

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

ESTABLISHED = "01"


def list_children(pid: int) -> list[int]:
    """Return the processes that `pid` has forked."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def has_running(group: int) -> bool:
    """Whether a process of this process group holds sockets or locks.

    A killed process holds none, although it is listed until its parent has asked for its exit code:
    the parent of orphans is `init`, and some take seconds for that.
    """
    return any(_is_running(folder, group) for folder in Path("/proc").glob("[0-9]*"))


def _is_running(process: Path, group: int) -> bool:
    try:
        state, _, found, *_ = (process / "stat").read_text().rpartition(")")[2].split()
        # The threads of a killed process end one after another, and share what it holds.
        return int(found) == group and (state != "Z" or len(list((process / "task").iterdir())) > 1)
    except (FileNotFoundError, ProcessLookupError):
        return False  # it has ended while we looked


def count_served(parent: int, url: str, clients: Collection[int] | None = None) -> Counter[int]:
    """Return how many connections to `url` each child of `parent` has.

    With `clients`, only connections from these ports count.
    """
    port = urlsplit(url).port
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        if (
            state == ESTABLISHED
            and _port(local) == port
            and (clients is None or _port(remote) in clients)
        ):
            inodes.add(f"socket:[{rest[5]}]")
    return Counter(
        child for child in list_children(parent) for link in _links(child) if link in inodes
    )


def find_lock_holder(path: Path) -> int | None:
    """Return the process that holds a `flock` on the file; None without one."""
    inode = str(path.stat().st_ino)
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "FLOCK" in fields and "->" not in fields and fields[5].split(":")[2] == inode:
            return int(fields[4])
    return None


def _port(address: str) -> int:
    return int(address.split(":")[1], 16)


def _links(pid: int) -> list[str]:
    folder = Path(f"/proc/{pid}/fd")
    found = []
    for entry in folder.iterdir():
        with suppress(FileNotFoundError):  # closed while we looked
            found.append(str(entry.readlink()))
    return found
