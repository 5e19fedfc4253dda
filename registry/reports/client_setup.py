"""What `entrepot setup` reports: the files of a client, and what its user does next."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal


@dataclass(frozen=True, slots=True)
class ClientFile:
    """A file of a client.

    `state` is what it would become, or has become: it is `new`, `changed`, or `unchanged`, and if
    the client does not need it any more, `restored` or `deleted`. After `--undo` it is one of these
    two, or `changed` if others have changed it since, and only what was written for the client was
    removed. `text` is its content. `copy` is what is kept of the former one. `is_open` if it has a
    secret, and others than its owner may read it.
    """

    path: PurePosixPath
    state: Literal["new", "changed", "unchanged", "restored", "deleted"]
    text: str = ""
    copy: PurePosixPath | None = None
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class ClientSetup:
    """What was done (`action`) so that a client uses a mirror, and what is left to its user.

    `steps` are commands that set up what no file can. After those in `restart`, the client reads
    its files; `restarted` if they were run. `checks` show whether it works.
    """

    client: str
    mirror: str
    action: Literal["show", "write", "undo"]
    files: tuple[ClientFile, ...]
    steps: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    restarted: bool = False
    checks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
