"""The resources that are opened before the fork, and that every child gets."""

import socket
from dataclasses import dataclass
from pathlib import Path

from registry.server.heartbeats import Heartbeats
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder, FileIdentity

DRAIN = 25.0  # seconds that running answers have after SIGTERM


@dataclass(frozen=True, slots=True)
class SharedResources:
    """Resources that were opened before the fork and that all processes share."""

    settings: Settings
    folder: DataFolder
    pulls: socket.socket
    console: socket.socket
    heartbeats: Heartbeats
    supervisor_pipe: int  # the read end of a pipe that ends when the supervisor ends
    metrics: Path  # the folder of the files of the processes' metrics
    catalog: FileIdentity | None = None  # the file of the catalog, when the workers were started
    source: str = ""  # where the settings come from, for the log
