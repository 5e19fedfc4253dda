"""Docker 29, containerd 2, and the tools that look for what is attached to an image.

Each one has the mirror configured as its users configure it. `pull` fails if anything is missing.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path

from tests.clients.images import Image, digest_of, read_message
from tests.clients.pullers import Ctr, Docker
from tests.clients.signatures import PREDICATE
from tests.clients.site import GITHUB
from tests.harness.daemons import finish, isolate


class RecentDocker(Docker):
    """Docker 29 with `registry-mirrors`. It runs no images: Debian's runc is too old for it."""

    name = "docker 29"

    def pull(self, image: Image) -> None:
        """Pull it, and compare what is in it."""
        super().pull(image)
        assert image.message == self.read(image)

    def read(self, image: Image) -> str:
        """Copy the file out of a container that does not run."""
        copy = self._folder / "message"
        container = self.docker("create", self.name_of(image)).strip()
        self.docker("cp", f"{container}:/message", str(copy))
        return copy.read_text().strip()


class DockerByHosts(RecentDocker):
    """Docker 29 with one `hosts.toml` for all registries."""

    manner = "_default/hosts.toml"

    def name_of(self, image: Image) -> str:
        """Return what a person types: the image's own name."""
        return str(image)


class RecentCtr(Ctr):
    """`ctr` of containerd 2."""

    name = "ctr 2"

    def pull(self, image: Image, *options: str) -> None:
        """Pull it, and compare what is in it."""
        super().pull(image, *options)
        assert image.message == self.read(image)

    def read(self, image: Image) -> str:
        """Mount it, and read the file."""
        # Its path is the name of the mount, which containerd may still have after `unmount`.
        place = Path(tempfile.mkdtemp(prefix="mount-", dir=self._folder))
        self._ctr("images", "mount", str(image), str(place))
        try:
            return (place / "message").read_text().strip()
        finally:
            self._ctr("images", "unmount", "--rm", str(place))


class BuildKit:
    """BuildKit with mirrors in `buildkitd.toml`; it builds from the image into a folder."""

    name = "buildkit"
    manner = "mirrors"

    def __init__(self, program: str, folder: Path, socket: Path) -> None:
        """`program` is buildctl."""
        self._folder = folder
        self._command = [program, f"--addr=unix://{socket}"]
        self._environment = isolate(folder)

    def pull(self, image: Image) -> None:
        """Build an image of nothing but this one, and compare what is in it."""
        context = self._folder / "context"
        context.mkdir(exist_ok=True)
        (context / "Dockerfile").write_text(f"FROM {image}\n")
        built = self._folder / "built"
        places = (f"--local=context={context}", f"--local=dockerfile={context}")
        self._run("build", "--frontend=dockerfile.v0", *places, f"--output=type=local,dest={built}")
        assert (built / "message").read_text().strip() == image.message

    def forget(self) -> None:
        """Remove what was built, and everything that was pulled for it."""
        shutil.rmtree(self._folder / "built", ignore_errors=True)
        self._run("prune", "--all")

    def _run(self, *arguments: str) -> str:
        return finish([*self._command, *arguments], self._environment)


class Tool(ABC):
    """A tool that is given the mirror's address; `referrers` are those of each image's digest."""

    manner: str
    name: str

    def __init__(
        self, program: str, folder: Path, mirror: str, referrers: dict[Image, frozenset[str]]
    ) -> None:
        self._program = program
        self._folder = folder
        self._mirror = mirror
        self._referrers = referrers
        self._copies = folder / "copies"

    @abstractmethod
    def pull(self, image: Image) -> None:
        """Do what the tool is for, and compare what it found."""

    def forget(self) -> None:
        """Remove every copy."""
        shutil.rmtree(self._copies, ignore_errors=True)
        self._copies.mkdir()

    def _run(self, *arguments: str) -> str:
        return finish([self._program, *arguments], isolate(self._folder))

    def _name(self, image: Image) -> str:
        return f"{self._mirror}/{image}"


class Cosign(Tool):
    """`cosign verify`, `tree` and `save`."""

    name = "cosign"
    manner = "verify, tree, save"

    def __init__(
        self,
        program: str,
        folder: Path,
        mirror: str,
        referrers: dict[Image, frozenset[str]],
        public_key: Path,
    ) -> None:
        super().__init__(program, folder, mirror, referrers)
        self._key = public_key

    def pull(self, image: Image) -> None:
        """Verify the signature, list what is attached, and copy the image into a folder."""
        name = ("--allow-http-registry", self._name(image))
        options = ("--insecure-ignore-tlog=true", "--output=json")
        said = self._run("verify", f"--key={self._key}", *options, *name)
        assert image.digest in said, said
        tree = self._run("tree", *name)
        signature = _signature_tag(image) if image.registry == GITHUB else PREDICATE
        for attached in (signature, *self._referrers[image]):
            assert attached in tree, f"{tree} is without {attached}"
        copy = self._copies / image.registry
        self._run("save", f"--dir={copy}", *name)
        _check_copy(copy, image, image.digests)


class Oras(Tool):
    """`oras discover`, and `oras cp -r` into a folder."""

    name = "oras"
    manner = "discover, cp -r"

    def pull(self, image: Image) -> None:
        """Find the referrers, and copy them with the image."""
        options = ("--plain-http", "--format=json")
        found = json.loads(self._run("discover", *options, self._name(image)))["referrers"]
        assert self._referrers[image] == {one["digest"] for one in found}
        copy = self._copies / image.registry
        options = ("--recursive", "--from-plain-http", "--to-oci-layout")
        self._run("cp", *options, self._name(image), f"{copy}:{image.tag}")
        _check_copy(copy, image, image.digests | self._referrers[image])


class Regctl(Tool):
    """`regctl image copy` with everything that is attached, into a folder."""

    name = "regctl"
    manner = "copy --referrers"

    def pull(self, image: Image) -> None:
        """Copy the image, its referrers and the tags that are made from its digest."""
        copy = self._copies / image.registry
        host = f"reg={self._mirror},tls=disabled"
        options = ("--referrers", "--digest-tags")
        target = f"ocidir://{copy}:{image.tag}"
        self._run("--host", host, "image", "copy", *options, self._name(image), target)
        _check_copy(copy, image, image.digests | self._referrers[image])
        # Where cosign wrote the signature as a tag, only that tag leads to it.
        is_copied = _signature_tag(image) in (copy / "index.json").read_text()
        assert is_copied == (image.registry == GITHUB)


class Crane(Tool):
    """`crane pull` into a folder: every platform and attestation, but nothing that is attached."""

    name = "crane"
    manner = "pull --format=oci"

    def pull(self, image: Image) -> None:
        """Copy the image."""
        copy = self._copies / image.registry
        self._run("pull", "--insecure", "--format=oci", self._name(image), str(copy))
        _check_copy(copy, image, image.digests)


class Helm(Tool):
    """`helm pull` of a chart."""

    name = "helm"
    manner = "pull"

    def pull(self, image: Image) -> None:
        """Pull the chart, and compare it byte for byte."""
        chart, _, version = self._name(image).rpartition(":")
        options = (f"--version={version}", "--plain-http", f"--destination={self._copies}")
        self._run("pull", f"oci://{chart}", *options)
        (pulled,) = self._copies.iterdir()
        assert digest_of(pulled.read_bytes()) in image.blob_digests
        self.forget()  # those of both registries have one name


def _signature_tag(image: Image) -> str:
    return f"{image.digest.replace(':', '-')}.sig"


def _check_copy(copy: Path, image: Image, wanted: frozenset[str]) -> None:
    """Compare an OCI layout with the digests that it has to hold."""
    contents = {path.name: path.read_bytes() for path in (copy / "blobs/sha256").iterdir()}
    missing = {digest for digest in wanted if digest.partition(":")[2] not in contents}
    assert missing == set(), f"{image} came without {missing}"
    messages = {read_message(each) for each in contents.values() if each[:2] == b"\x1f\x8b"}
    assert image.message in messages
