"""The credentials for an upstream, and the hosts that may get them (decision record 0009)."""

import base64
from dataclasses import dataclass
from urllib.parse import urlsplit

from registry.settings.upstreams import UpstreamSettings


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password for an upstream, and the host names that may get them."""

    username: str
    password: str
    hosts: frozenset[str]

    def basic(self) -> str:
        """Return the value of a Basic `Authorization` header."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


def find_identity(credentials: Credentials | None, url: str) -> str:
    """Return the user name for requests to the endpoint `url`; empty for anonymous requests."""
    host = urlsplit(url).hostname or ""
    return credentials.username if credentials is not None and host in credentials.hosts else ""


def find_credentials(name: str, settings: UpstreamSettings) -> Credentials | None:
    """Return the credentials for the upstream `name`; None if the settings have no user name.

    The registry may get them under any of its names, and so may the token realms in the settings.
    An accelerator in front of the registry may not, unless it is the only endpoint: then the
    operator wrote the credentials for it.
    """
    if not settings.username:
        return None
    hosts = {urlsplit(f"//{host}").hostname or "" for host in (name, *settings.aliases)}
    hosts |= {urlsplit(f"//{host}").hostname or "" for host in settings.auth_realms}
    if len(settings.endpoints) == 1:
        hosts.add(urlsplit(settings.endpoints[0]).hostname or "")
    password = settings.password.get_secret_value()
    return Credentials(settings.username, password, frozenset(hosts - {""}))
