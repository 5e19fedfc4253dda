"""The resources that are opened before the fork, and that every child gets."""

import socket
from dataclasses import dataclass
from pathlib import Path

from registry.server.heartbeats import Heartbeats
from registry.server.live_tls import LiveTLS
from registry.server.probe_requests import ProbeRequests
from registry.server.recent_events import RecentEvents
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder, FileIdentity

DRAIN = 25.0  # seconds that running answers have after SIGTERM


@dataclass(frozen=True, slots=True)
class SharedResources:
    """Resources that were opened before the fork and that all processes share.

    Of `tls`, each process has a copy. It is read before the fork, so that a worker which takes the
    place of another can begin while a certificate is being replaced.
    """

    settings: Settings
    folder: DataFolder
    pulls: socket.socket
    console: socket.socket
    heartbeats: Heartbeats
    supervisor_pipe: int  # the read end of a pipe that ends when the supervisor ends
    metrics: Path  # the folder of the files of the processes' metrics
    catalog: FileIdentity | None = None  # the file of the catalog, when the workers were started
    tls: LiveTLS | None = None  # None: plain HTTP
    source: str = ""  # where the settings come from, for the log
    events: RecentEvents | None = None  # the last events of all processes
    probes: ProbeRequests | None = None  # which clients have asked for probes
