"""Which servers may get the password of an upstream (decision record 0009). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from registry.settings.endpoints import is_weaker, list_secure, list_servers, server_of
from registry.settings.upstreams import UpstreamSettings, list_builtin_urls


@dataclass(frozen=True, slots=True)
class PasswordServers:
    """The servers that may get a password, as host:port; those in `secure` only over TLS.

    Another port of the same host may belong to somebody else.
    """

    servers: frozenset[str]
    secure: frozenset[str] = frozenset()

    def have(self, url: str) -> bool:
        """Whether the password may be sent to the server at `url`, in the way that `url` says."""
        return server_of(url) in self.servers and not is_weaker(url, self.secure)


def find_password_servers(name: str, settings: UpstreamSettings) -> PasswordServers:
    """Return the servers that may get the password of the upstream `name`.

    The registry may get it under any of its names, and so may the token realms in the settings. An
    accelerator in front of the registry may not, unless it is the only endpoint: then the operator
    wrote the password for it. A server with an endpoint of https, or one of a built-in registry,
    never gets it over plain http.
    """
    servers = list_servers((name, *settings.aliases, *settings.auth_realms))
    if len(settings.endpoints) == 1:
        servers |= {server_of(settings.endpoints[0])}
    return PasswordServers(servers, list_secure((*settings.endpoints, *list_builtin_urls(name))))


def list_gaining(name: str, settings: UpstreamSettings, endpoints: Sequence[str]) -> list[str]:
    """Return which of these endpoints may get the password if they replace those in the settings.

    Those that may get it already are left out. Without a user name, there is no password.
    """
    if not settings.username:
        return []
    changed = replace(settings, endpoints=tuple(endpoints))
    before, after = (find_password_servers(name, each) for each in (settings, changed))
    return [url for url in endpoints if after.have(url) and not before.have(url)]
