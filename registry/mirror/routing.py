"""Which registry and repository a request means. Pure.

Clients reach a mirror in five shapes:

    A  /v2/library/nginx/...                       the default upstream
    B  /v2/library/nginx/...?ns=docker.io          containerd and its kin say the registry in `ns`
    C  /docker.io/v2/library/nginx/...             a mirror URL with a path
    D  /v2/docker.io/library/nginx/...?ns=...      a rewritten location
    E  /v2/docker.io/library/nginx/...             direct use

and besides by host: `docker.io.mirror.lan` means docker.io. Only configured upstreams are ever
reached: whatever looks like another registry is unknown here, not a repository of the default one,
lest a name that belongs to one registry be answered by another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.errors import NameInvalid, NameUnknown
from registry.oci.names import Repository, parse_name

DOCKER_HUB = "docker.io"


@dataclass(frozen=True, slots=True)
class RepositoryRequest:
    """What a URL said: the name after `/v2/`, and where else it named a registry."""

    name: str
    prefix: str = ""
    namespace: str = ""
    host: str = ""


class UpstreamTable:
    """The configured upstreams by every name they go by."""

    def __init__(self, aliases: Mapping[str, Iterable[str]], default: str) -> None:
        """`aliases` maps each upstream to its other names."""
        self.names = tuple(aliases)
        self.default = default
        self._by_name = {name: name for name in aliases}
        for name, others in aliases.items():
            self._by_name.update(dict.fromkeys(others, name))

    def find(self, name: str) -> str | None:
        """Return the upstream that goes by `name`, None when none does."""
        return self._by_name.get(name)

    def find_by_host(self, host: str) -> str | None:
        """Return the upstream whose name the mirror's own host name begins with."""
        label = host.lower()
        while "." in label:
            label = label.rpartition(".")[0]
            if "." in label and label in self._by_name:
                return self._by_name[label]
        return None

    def resolve(self, request: RepositoryRequest) -> Repository:
        """Return the repository a request means.

        Raises:
            NameUnknown: it names a registry that is not configured.
            NameInvalid: what is left is no repository name.
        """
        if request.prefix:
            return self._place(self.require(request.prefix), request.name)
        first, slash, rest = request.name.partition("/")
        named = self.find(first) if slash else None
        if named and (_is_unmistakable(first) or not self.find(request.namespace)):
            return self._place(named, rest)
        if request.namespace:
            return self._place(self.require(request.namespace), request.name)
        if slash and _looks_like_registry(first):
            raise NameUnknown(first, self.names)
        return self._place(self.find_by_host(request.host) or self.default, request.name)

    def require(self, name: str) -> str:
        """Return the upstream that goes by `name`.

        Raises:
            NameUnknown: none does; the error names those there are.
        """
        found = self.find(name)
        if found is None:
            raise NameUnknown(name, self.names)
        return found

    def _place(self, upstream: str, name: str) -> Repository:
        if not name:
            raise NameInvalid(name)
        if upstream == DOCKER_HUB and "/" not in name:
            name = f"library/{name}"
        return Repository(upstream, parse_name(name))


def _is_unmistakable(segment: str) -> bool:
    # A repository of the registry that `ns` names may well begin with another upstream's dotless
    # alias, but with no host name.
    return "." in segment or ":" in segment


def _looks_like_registry(segment: str) -> bool:
    # The rule by which docker tells a registry from a user name in a reference.
    return _is_unmistakable(segment) or segment == "localhost"
