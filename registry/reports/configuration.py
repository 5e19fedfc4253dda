"""Whether the configuration can be used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class UsableConfiguration:
    """A configuration without a fault; `file` is None where only the defaults apply."""

    file: Path | None
    upstreams: int
    ok: Literal[True] = True


@dataclass(frozen=True, slots=True)
class ConfigurationFault:
    """The setting `key` that cannot be used, why, and what to write instead (`cure`)."""

    key: str
    why: str
    cure: str
    ok: Literal[False] = False
