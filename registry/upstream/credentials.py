"""The credentials for an upstream, and the servers that may get them (decision record 0009)."""

import base64
from dataclasses import dataclass, field

from registry.settings.endpoints import server_of
from registry.settings.password_servers import PasswordServers, find_password_servers
from registry.settings.upstreams import UpstreamSettings


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password for an upstream, and the servers that may get them."""

    username: str
    password: str = field(repr=False)
    servers: PasswordServers

    def basic(self) -> str:
        """Return the value of a Basic `Authorization` header."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"

    def may_be_sent_to(self, url: str) -> bool:
        """Whether the server at `url` may get the password over http, if `url` has it, or TLS."""
        return self.servers.have(url)

    def advise(self, url: str) -> str:
        """Return what an operator can do if the password is not sent to the server at `url`."""
        if server_of(url) in self.servers.servers:
            return "write https in the URL: this server has TLS, and no password goes over http"
        return "add it to auth_realms of this upstream if you trust it"


def find_identity(credentials: Credentials | None, url: str) -> str:
    """Return the user name for requests to the endpoint `url`; empty for anonymous requests."""
    if credentials is None or not credentials.may_be_sent_to(url):
        return ""
    return credentials.username


def find_credentials(name: str, settings: UpstreamSettings) -> Credentials | None:
    """Return the credentials for the upstream `name`; None if the settings have no user name.

    Who may get them is said in `settings/password_servers.py`.
    """
    if not settings.username:
        return None
    servers = find_password_servers(name, settings)
    password = settings.password.value
    return Credentials(settings.username, password, servers)
