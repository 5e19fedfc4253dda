"""The images by which the endpoints of an upstream are tested."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from registry.oci.names import Reference


@dataclass(frozen=True, slots=True)
class AskedImage:
    """An image whose tag is asked for: `name` is how people write it."""

    name: str
    repository: str
    reference: Reference


# Images that everybody knows. The first one has a layer of some size, which is downloaded to
# measure the rate.
WELL_KNOWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "docker.io": (
            "library/nginx:latest",
            "library/alpine:latest",
            "library/busybox:latest",
            "library/hello-world:latest",
        ),
        "ghcr.io": ("astral-sh/uv:latest", "home-assistant/home-assistant:stable"),
        "quay.io": ("prometheus/prometheus:latest", "prometheus/busybox:latest"),
        "gcr.io": ("distroless/base-debian12:latest", "distroless/static-debian12:latest"),
        "registry.k8s.io": ("kube-proxy:v1.30.0", "pause:3.9"),
        "mcr.microsoft.com": ("dotnet/runtime:8.0", "dotnet/aspnet:8.0"),
        "public.ecr.aws": ("docker/library/nginx:latest", "docker/library/alpine:latest"),
        "nvcr.io": ("nvidia/cuda:12.4.1-base-ubuntu22.04",),
    }
)
