"""Which program a client is, by its User-Agent (RFC 9110, 10.1.5), and what it asked for. Pure.

`api/` reads this from requests, `content/` and `catalog/` keep it, and `reports/` tells it. These
rooms may not all import each other, so the types are in `oci/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

OTHER = "other"  # a program that is not in the table, or that does not say which it is
_LONGEST = 200  # characters that are looked at
# The tool of each product name, in small letters. Podman and Buildah send that of their library.
_TOOLS: Mapping[str, str] = MappingProxyType(
    {
        "apptainer": "apptainer",
        "buildah": "buildah",
        "buildkit": "buildkit",
        "containerd": "containerd",
        "containers": "podman",
        "cosign": "cosign",
        "crane": "crane",
        "cri-o": "cri-o",
        "curl": "curl",
        "docker": "docker",
        "entrepot": "entrepot",
        "go-containerregistry": "crane",
        "harbor-registry-client": "harbor",
        "helm": "helm",
        "kaniko": "kaniko",
        "libimage": "podman",
        "libpod": "podman",
        "mozilla": "browser",
        "nerdctl": "nerdctl",
        "notation": "notation",
        "oras": "oras",
        "oras-go": "oras",
        "podman": "podman",
        "regclient": "regctl",
        "regctl": "regctl",
        "singularity": "singularity",
        "singularityce": "singularity",
        "skopeo": "skopeo",
        "syft": "syft",
        "trivy": "trivy",
    }
)
TOOLS = frozenset({*_TOOLS.values(), OTHER})

# How a client names the registry of an image: `mirror/routing.py` describes these forms.
BY_DEFAULT, BY_NS, BY_PREFIX, BY_PATH, BY_HOST = "default", "ns", "prefix", "path", "host"
SHAPES = frozenset({BY_DEFAULT, BY_NS, BY_PREFIX, BY_PATH, BY_HOST})


@dataclass(frozen=True, slots=True)
class ClientVisit:
    """What a client with one tool last asked for, and got.

    `tool` is one of `TOOLS`, `shape` one of `SHAPES`. `image` is the name that it has asked for,
    `status` the HTTP status, `origin` the cache status of what it got, or empty.
    """

    tool: str
    shape: str
    image: str
    status: int
    origin: str


def parse_tool(agent: str) -> str:
    """Return the tool that sends this User-Agent: one of `TOOLS`, whatever a client writes."""
    product = agent[:_LONGEST].strip().partition("/")[0].partition(" ")[0]
    return _TOOLS.get(product.lower(), OTHER)


def find_shape(path: str, namespace: str, host: str, repository: str) -> str:
    """Return how a request names its registry, which is one of `SHAPES`.

    `path` is the path of the request, `namespace` the value of `ns`, `host` the name in the header
    Host, and `repository` what was asked for, with its registry.
    """
    prefix, _, rest = path.partition("/v2/")
    if prefix.strip("/"):
        return BY_PREFIX
    if namespace:
        return BY_NS
    registry, _, name = repository.partition("/")
    if not rest.startswith((f"{name}/", f"{name.removeprefix('library/')}/")):
        return BY_PATH
    return BY_HOST if host.lower().startswith(f"{registry}.") else BY_DEFAULT
