"""The clients whose configuration is examined, by the names of `entrepot setup`. Pure."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from registry.clients.diagnosis.buildkit import diagnose_buildkit
from registry.clients.diagnosis.cause import Diagnosis
from registry.clients.diagnosis.containerd import diagnose_containerd, diagnose_nerdctl
from registry.clients.diagnosis.examined import Examined
from registry.clients.diagnosis.podman import diagnose_podman
from registry.clients.diagnosis.rancher import diagnose_rancher

CONTAINERD = "containerd"
DOCKER = "docker"  # what its daemon says is asked first, and its files mean little without it

DIAGNOSES: Mapping[str, Callable[[Examined], Diagnosis]] = MappingProxyType(
    {
        "containerd": diagnose_containerd,
        "nerdctl": diagnose_nerdctl,
        "podman": diagnose_podman,
        "buildah": diagnose_podman,
        "skopeo": diagnose_podman,
        "cri-o": diagnose_podman,
        "buildkit": diagnose_buildkit,
        "k3s": diagnose_rancher,
        "rke2": diagnose_rancher,
    }
)
# The services of systemd that read the files.
UNITS: Mapping[str, str] = MappingProxyType(
    {"containerd": "containerd", "buildkit": "buildkit", "k3s": "k3s", "rke2": "rke2-server"}
)
EXAMINED = (DOCKER, *DIAGNOSES)
