"""The credentials for an upstream, and the servers that may get them (decision record 0009)."""

import base64
from dataclasses import dataclass

from registry.settings.endpoints import list_servers, server_of
from registry.settings.upstreams import UpstreamSettings


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password for an upstream, and the servers that may get them.

    `servers` are hosts with ports: another port of the same host may belong to somebody else.
    """

    username: str
    password: str
    servers: frozenset[str]

    def basic(self) -> str:
        """Return the value of a Basic `Authorization` header."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"

    def may_be_sent_to(self, url: str) -> bool:
        """Whether the server at `url` may get the password."""
        return server_of(url) in self.servers


def find_identity(credentials: Credentials | None, url: str) -> str:
    """Return the user name for requests to the endpoint `url`; empty for anonymous requests."""
    if credentials is None or not credentials.may_be_sent_to(url):
        return ""
    return credentials.username


def find_credentials(name: str, settings: UpstreamSettings) -> Credentials | None:
    """Return the credentials for the upstream `name`; None if the settings have no user name.

    The registry may get them under any of its names, and so may the token realms in the settings.
    An accelerator in front of the registry may not, unless it is the only endpoint: then the
    operator wrote the credentials for it.
    """
    if not settings.username:
        return None
    servers = list_servers((name, *settings.aliases, *settings.auth_realms))
    if len(settings.endpoints) == 1:
        servers |= {server_of(settings.endpoints[0])}
    password = settings.password.value
    return Credentials(settings.username, password, servers)
