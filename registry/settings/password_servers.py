"""Which servers may get the password of an upstream (decision record 0009). Pure."""

from collections.abc import Sequence

from registry.settings.endpoints import list_servers, server_of
from registry.settings.upstreams import UpstreamSettings


def list_password_servers(name: str, settings: UpstreamSettings) -> frozenset[str]:
    """Return the servers that may get the password of the upstream `name`, as host:port.

    The registry may get it under any of its names, and so may the token realms in the settings. An
    accelerator in front of the registry may not, unless it is the only endpoint: then the operator
    wrote the password for it.
    """
    servers = list_servers((name, *settings.aliases, *settings.auth_realms))
    if len(settings.endpoints) == 1:
        servers |= {server_of(settings.endpoints[0])}
    return servers


def list_gaining(name: str, settings: UpstreamSettings, endpoints: Sequence[str]) -> list[str]:
    """Return which of these endpoints may get the password if they replace those in the settings.

    Those that may get it already are left out. Without a user name, there is no password.
    """
    if not settings.username:
        return []
    changed = settings.model_copy(update={"endpoints": tuple(endpoints)})
    gained = list_password_servers(name, changed) - list_password_servers(name, settings)
    return [url for url in endpoints if server_of(url) in gained]
