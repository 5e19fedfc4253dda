"""What the supervisor prepares and checks before it forks, and hands to every child."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from registry.errors import SettingsError
from registry.server.heartbeats import Heartbeats
from registry.settings.model import ServerSettings, Settings
from registry.settings.values import Address
from registry.store.data_folder import DataFolder
from registry.upstream.client import load_trust

BACKGROUND = -1  # the steward's number; workers count from 0
BACKLOG = 1024  # connections the kernel keeps for us while we are busy
DRAIN = 25.0  # seconds that answers under way get after SIGTERM


@dataclass(frozen=True, slots=True)
class SharedResources:
    """What the supervisor hands to a child: opened before, shared by all."""

    settings: Settings
    folder: DataFolder
    pulls: socket.socket
    console: socket.socket
    heartbeats: Heartbeats
    lifeline: int  # a pipe that ends when the supervisor does
    metrics: Path  # where the processes count


def check_files(settings: Settings) -> None:
    """Read what the settings name, so that a mistake shows before anything starts.

    Raises:
        SettingsError: a certificate, a key or a `ca_file` cannot be read.
    """
    load_tls(settings.server)
    for name, upstream in settings.upstreams.items():
        if upstream.ca_file:  # reading the system's own costs a start 50 ms for each upstream
            load_trust(name, upstream.ca_file)


def load_tls(server: ServerSettings) -> ssl.SSLContext | None:
    """Return the server's TLS context; None for plain HTTP.

    Raises:
        SettingsError: the certificate or key cannot be read.
    """
    if not server.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # The empty password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(server.tls_cert, server.tls_key, password="")
    except OSError as error:
        raise SettingsError(
            "server.tls_cert",
            f"{server.tls_cert} and {server.tls_key} cannot be used ({error.strerror or error})",
            "give a PEM certificate chain and its unencrypted key",
        ) from error
    return context


def bind(key: str, address: Address) -> socket.socket:
    """Listen on an address, before anything is forked.

    Raises:
        SettingsError: the port is in use, forbidden, or the host is not ours.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsError(
            key,
            f"cannot listen on {address} ({error.strerror or error})",
            "stop what uses it, or write another address",
        ) from error
    listening.setblocking(False)
    return listening
