"""The programs that these tests drive: Debian's by their place, Go's built once and kept."""

from __future__ import annotations

import os

from tests.harness import go_programs
from tests.harness.go_programs import GoProgram

# Another `docker` may come first on the PATH, and a newer one does not speak with Debian's engine.
PLACES = {
    "docker": ("/usr/bin/docker", "docker.io"),
    "dockerd": ("/usr/sbin/dockerd", "docker.io"),
    "containerd": ("/usr/bin/containerd", "containerd"),
    "ctr": ("/usr/bin/ctr", "containerd"),
    "runc": ("/usr/sbin/runc", "runc"),
    "podman": ("/usr/bin/podman", "podman"),
    "skopeo": ("/usr/bin/skopeo", "skopeo"),
    "docker-registry": ("/usr/bin/docker-registry", "docker-registry"),
    "busybox": ("/usr/bin/busybox", "busybox-static"),
    "umoci": ("/usr/bin/umoci", "umoci"),
    "ip": ("/usr/bin/ip", "iproute2"),
    "openssl": ("/usr/bin/openssl", "openssl"),
}
# What Debian has in older versions stands here too: the containerd image store of dockerd 29, which
# asks for referrers, and what it needs beside it.
_RECENT = (
    GoProgram("dockerd", "github.com/moby/moby/v2/cmd/dockerd", "v2.0.0-beta.24"),
    # v29.9.3 requires swarmkit v2.1.3, which the module proxy does not have.
    GoProgram(
        "docker",
        "github.com/docker/cli/cmd/docker",
        "v29.9.2+incompatible",
        "vendored",
        "github.com/docker/cli",
    ),
    GoProgram("containerd", "github.com/containerd/containerd/v2/cmd/containerd", "v2.4.2"),
    GoProgram("ctr", "github.com/containerd/containerd/v2/cmd/ctr", "v2.4.2"),
    GoProgram("buildkitd", "github.com/moby/buildkit/cmd/buildkitd", "v0.34.2", "require"),
    GoProgram("buildctl", "github.com/moby/buildkit/cmd/buildctl", "v0.34.2", "require"),
    GoProgram("crane", "github.com/google/go-containerregistry/cmd/crane", "v0.22.1"),
    GoProgram("oras", "oras.land/oras/cmd/oras", "v1.3.6"),
    GoProgram("regctl", "github.com/regclient/regclient/cmd/regctl", "v0.11.7"),
    GoProgram("helm", "helm.sh/helm/v4/cmd/helm", "v4.3.1"),
    GoProgram("cosign", "github.com/sigstore/cosign/v3/cmd/cosign", "v3.1.3"),
)
BUILT = {program.name: program for program in _RECENT}


def place_of(program: str) -> str:
    """Return the path of one of Debian's programs."""
    return PLACES[program][0]


def missing(*programs: str, as_root: bool = False) -> str:
    """Say which of these programs are not here, and what would bring them; empty when all are."""
    absent = [
        f"{name} (package {package})"
        for name, (path, package) in PLACES.items()
        if name in programs and not os.access(path, os.X_OK)
    ]
    if as_root and os.geteuid() != 0:
        absent.append("root")
    return f"missing: {', '.join(absent)}" if absent else ""


def build(program: str) -> str:
    """Return the path of a program of `BUILT`; raises as `go_programs.build`."""
    return str(go_programs.build(BUILT[program]))
