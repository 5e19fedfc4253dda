"""What the command line of `entrepot serve` says; it is also read where there is no typer."""

from dataclasses import dataclass
from pathlib import Path

from registry.settings.configuration import Configuration
from registry.settings.values import Address


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options: a settings file, an address instead of `server.listen`, and `--offline`."""

    config: Path | None
    listen: Address | None
    offline: bool


@dataclass(frozen=True, slots=True)
class ServeCommand:
    """The options, and the configuration that was loaded with them."""

    options: ServeOptions
    configuration: Configuration
