"""The programs that these tests drive: Debian's by their place, Go's built once and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.conformance.suite import GoMissing, cache_folder

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
BUILT = {
    "crane": ("github.com/google/go-containerregistry/cmd/crane", "v0.22.1"),
    "oras": ("oras.land/oras/cmd/oras", "v1.3.6"),
}


class BuildBroken(Exception):
    """The module proxy or the compiler said no."""


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
    """Return the path of a Go program, building it on first use (half a minute).

    Raises:
        GoMissing: not built yet, and there is no `go` to build it with.
        BuildBroken: the module proxy or the compiler said no.
    """
    package, version = BUILT[program]
    built = cache_folder() / f"{program}-{version}"
    if built.is_file():
        return str(built)
    if shutil.which("go") is None:
        raise GoMissing(f"missing: {program}, and go to build it with")
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built.parent) as scratch:
        done = subprocess.run(
            ["go", "install", "-ldflags=-s -w", f"{package}@{version}"],
            cwd=scratch,
            env={**os.environ, "GOBIN": scratch},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode != 0:
            raise BuildBroken(f"go install {package}@{version}: {done.stderr.strip()[-2000:]}")
        Path(scratch, program).replace(built)
    return str(built)
