"""The settings that apply, with where they come from, and what a reload of them changes."""

from dataclasses import dataclass, field
from pathlib import Path

from registry.settings.model import Settings
from registry.settings.origins import Origins
from registry.settings.places import is_shipped


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings that apply, and the absolute path of their file; None without a file.

    `origins` says where each setting was written.
    `note` is what the operator should know about the data folder; it is usually empty.
    """

    settings: Settings
    file: Path | None = None
    note: str = ""
    origins: Origins = field(default_factory=Origins)

    @property
    def is_own(self) -> bool:
        """Whether the operator wrote the file; the file that git tracks is not theirs to edit."""
        return self.file is not None and not is_shipped(self.file)

    @property
    def source(self) -> str:
        """The name of the file, for people."""
        return str(self.file or "defaults (no file)")


@dataclass(frozen=True, slots=True)
class Reload:
    """What was `loaded` while a server runs, and the `settings` that apply from now on.

    `changed` has a line of TOML for each setting that differs from before, and `pending` for each
    that only a restart changes (`list_changes`).
    """

    loaded: Configuration
    settings: Settings
    changed: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
