"""Who is asked to log in, and how. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote

SERVICE = "entrepot"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says about where it was sent.

    `host` is the value of Host. `has_path` says that something stands before `/v2/`, such as a
    registry or a path token, and `has_tls` that the client has used TLS.
    """

    host: str
    has_path: bool = False
    namespace: str = ""
    has_tls: bool = False


class Challenges:
    """Asks only those to log in who have used the mirror as a registry, by one of its own hosts.

    dockerd would answer a mirror with the password of its user for Docker Hub. What is asked for
    with a path, a path token or `ns` was sent to a mirror.
    """

    def __init__(self, hosts: Collection[str] = ()) -> None:
        """`hosts` are names, with or without a port."""
        self._hosts = frozenset(host.lower() for host in hosts)

    def may_ask(self, asked: Asked) -> bool:
        """Whether a request may be answered with a challenge."""
        host = asked.host.lower()
        is_of_mirror = asked.has_path or bool(asked.namespace)
        return not is_of_mirror and (host in self._hosts or host.rpartition(":")[0] in self._hosts)

    def write(self, asked: Asked, repository: str = "", error: str = "") -> str:
        """Return the value of `WWW-Authenticate` (RFC 6750 section 3, distribution "Token").

        `repository` is the name in the request, if there is one.
        """
        scheme = "https" if asked.has_tls else "http"
        parts = [
            f'realm="{scheme}://{quote(asked.host, safe=":[]")}/token"',
            f'service="{SERVICE}"',
        ]
        if repository:
            parts.append(f'scope="repository:{repository}:pull"')
        if error:
            parts.append(f'error="{error}"')
        return f"Bearer {','.join(parts)}"
