"""Finding the registry and repository of a request. Pure.

Clients write the URL of a repository in five ways:

    A  /v2/library/nginx/...                          the default upstream
    B  /v2/library/nginx/...?ns=docker.io             containerd names the registry in `ns`
    C  /docker.io/v2/library/nginx/...                a mirror URL with a path
    D  /v2/docker.io/library/nginx/...?ns=docker.io   a rewritten location
    E  /v2/docker.io/library/nginx/...                direct use

The host name may name a registry too: `docker.io.mirror.lan` means docker.io. If several of them
name a registry, the prefix before `/v2/` decides, then `ns`, then the path, then the host:
operators write the prefix, and `ns` is the registry of the image. Only configured upstreams are
used. A name that looks like another registry is unknown. It is not taken for a repository of the
default upstream, which could then answer with other content of that name.
"""

from dataclasses import dataclass

from registry.errors import NameInvalid, NameUnknown
from registry.oci.names import Repository, parse_name
from registry.oci.registries import Registries, is_host_name

DOCKER_HUB = "docker.io"


@dataclass(frozen=True, slots=True)
class RepositoryRequest:
    """Everything in a request that names a registry or a repository.

    `name` is the part of the path after `/v2/`, and `prefix` the part before. `name` is empty if a
    request names no repository: a ping, or the list of repositories. `namespace` is the value of
    the parameter `ns`, `host` the name in the Host header, without a port.
    """

    name: str
    prefix: str = ""
    namespace: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """The result of routing: a repository, or an error, or neither if the request names none.

    `namespace` is the request's `ns` if a configured upstream has that name, and otherwise empty.
    """

    namespace: str
    repository: Repository | None = None
    error: NameInvalid | NameUnknown | None = None


class UpstreamTable:
    """The configured upstreams by name and by alias."""

    def __init__(self, registries: Registries) -> None:
        self.names = registries.own_names
        self.default = registries.default
        self._registries = registries
        self._by_name = registries.names

    def route(self, request: RepositoryRequest) -> Route:
        """Return the route of a request.

        The error is `NameUnknown` if the request names a registry that is not configured, and
        `NameInvalid` if the rest of the path is not a repository name. A wrong prefix is an error
        even without a repository, so that the first ping shows a wrong mirror URL.
        """
        namespace = request.namespace if request.namespace in self._by_name else ""
        try:
            return Route(namespace, self._resolve(request))
        except (NameInvalid, NameUnknown) as error:
            return Route(namespace, error=error.copy())

    def _resolve(self, request: RepositoryRequest) -> Repository | None:
        prefixed = self._require(request.prefix) if request.prefix else ""
        if not request.name:
            return None
        if prefixed:
            return self._place(prefixed, request.name)
        first, slash, rest = request.name.partition("/")
        named = self._by_name.get(first) if slash else None
        if request.namespace:
            # It is the registry of the image. So a path that begins with another registry is a
            # repository of that name: `harbor.lan/docker.io/acme/app` is in harbor.lan.
            upstream = self._require(request.namespace)
            # A repository name may begin with a word that is also the alias of an upstream, such as
            # `localhost`.
            is_repeated = named == upstream and is_host_name(first)
            return self._place(upstream, rest if is_repeated else request.name)
        if named:
            return self._place(named, rest)
        if self._registries.has_registry(request.name):
            raise NameUnknown(first, self.names)
        return self._place(self._find_by_host(request.host) or self.default, request.name)

    def _find_by_host(self, host: str) -> str | None:
        """Return the upstream whose name the mirror's own host name begins with."""
        label = host.lower()
        while "." in label:
            label = label.rpartition(".")[0]
            if "." in label and label in self._by_name:
                return self._by_name[label]
        return None

    def _require(self, name: str) -> str:
        found = self._by_name.get(name)
        if found is None:
            raise NameUnknown(name, self.names)
        return found

    def _place(self, upstream: str, name: str) -> Repository:
        if not name:
            raise NameInvalid(name)
        if upstream == DOCKER_HUB and "/" not in name:
            name = f"library/{name}"
        return Repository(upstream, parse_name(name))
