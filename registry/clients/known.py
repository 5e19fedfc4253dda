"""The clients that can be set up, by their names. Pure."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from registry.clients.buildkit import plan_buildkit
from registry.clients.containerd import plan_containerd, plan_docker_29, plan_nerdctl
from registry.clients.docker import plan_docker
from registry.clients.local_clusters import plan_kind, plan_minikube
from registry.clients.mirror import Mirror
from registry.clients.plan import ClientPlan, Reader, Scope
from registry.clients.podman import plan_buildah, plan_crio, plan_podman, plan_skopeo
from registry.clients.rancher import plan_k3s, plan_rke2

Planner = Callable[[Mirror, Scope, Reader], ClientPlan]

CLIENTS: Mapping[str, Planner] = MappingProxyType(
    {
        "docker": plan_docker,
        "docker-29": plan_docker_29,
        "containerd": plan_containerd,
        "nerdctl": plan_nerdctl,
        "podman": plan_podman,
        "buildah": plan_buildah,
        "skopeo": plan_skopeo,
        "cri-o": plan_crio,
        "buildkit": plan_buildkit,
        "k3s": plan_k3s,
        "rke2": plan_rke2,
        "kind": plan_kind,
        "minikube": plan_minikube,
    }
)
