"""The reports of `entrepot config check` and `entrepot config init`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class UsableConfiguration:
    """A configuration that can be used; `file` is None if only the defaults apply.

    `data_exists` and `server_running` are about the data folder; `server_running` is None if this
    user cannot find out. `notes` are what the operator should know: about that folder, and about
    addresses that another program has.
    """

    file: Path | None
    upstreams: int
    data: Path
    data_exists: bool
    server_running: bool | None
    notes: tuple[str, ...]
    ok: Literal[True] = True


@dataclass(frozen=True, slots=True)
class WrittenConfiguration:
    """The new `file` of settings, and the data folder with these settings.

    `read_first` is another file that is read instead in the current folder, if there is one.
    `replaced` is the file that was read until now; `changes` has a line for each setting that
    differs in the new file.
    """

    file: Path
    data: Path
    read_first: Path | None
    replaced: Path | None = None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigurationFault:
    """A setting `key` that cannot be used; `why` is the reason, `cure` says what to write.

    `cure` is empty if `why` says that too.
    """

    key: str
    why: str
    cure: str
    ok: Literal[False] = False
