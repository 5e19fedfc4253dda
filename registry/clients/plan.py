"""What has to be done so that a client uses a mirror: files, and steps of people. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from registry.clients.edits import AddItem, Edit, Kind
from registry.clients.mirror import Mirror

Reader = Callable[[PurePosixPath], str | None]  # the text of a file; None if there is none


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose configuration is meant: that of the machine, or with `home` that of one user."""

    home: PurePosixPath | None = None

    def choose(self, system: str, user: str) -> PurePosixPath:
        """Return a folder of the machine, or the one of the user, which is relative to `home`."""
        return PurePosixPath(system) if self.home is None else self.home / user


@dataclass(frozen=True, slots=True)
class FileEdits:
    """What a file shall have; others may not read a new one if it `is_secret`."""

    path: PurePosixPath
    kind: Kind
    edits: tuple[Edit, ...] = field(repr=False)
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """What has to be done for a client.

    `restart` are the commands after which it uses the files; if it reads them at each pull, there
    are none. `restart_undone` are those after an undoing, if they are others. `steps` are commands
    that set up what no file can. `checks` are commands that show whether it works, and `notes` are
    sentences that its user should know.
    """

    files: tuple[FileEdits, ...] = ()
    steps: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    restart_undone: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def install_ca(mirror: Mirror, *paths: PurePosixPath) -> tuple[FileEdits, ...]:
    """Return the files with the certificate of the mirror's authority; none if there is none."""
    if not mirror.ca:
        return ()
    return tuple(FileEdits(path, "pem", (AddItem((), mirror.ca),)) for path in paths)
