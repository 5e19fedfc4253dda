"""The reports of `entrepot config check`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class UsableConfiguration:
    """A configuration that can be used; `file` is None if only the defaults apply."""

    file: Path | None
    upstreams: int
    ok: Literal[True] = True


@dataclass(frozen=True, slots=True)
class ConfigurationFault:
    """A setting `key` that cannot be used; `why` is the reason, `cure` says what to write."""

    key: str
    why: str
    cure: str
    ok: Literal[False] = False
