"""The four clients as tests hold them, each configured as its users configure a mirror."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tests.clients.images import Image, digest_of, read_message
from tests.clients.programs import place_of
from tests.clients.site import GITHUB, HUB
from tests.harness.daemons import finish, isolate

REGISTRIES = (HUB, GITHUB)


class Client(Protocol):
    """`name` is the client's program, `manner` is how the mirror was configured."""

    name: str
    manner: str

    def pull(self, image: Image) -> None:
        """Pull the image; AssertionError with the client's own words when it cannot."""

    def forget(self) -> None:
        """Empty the client's own cache."""


class Puller(Client, Protocol):
    """A client from which the content of an image can be read."""

    def read(self, image: Image) -> str:
        """Return the message of a pulled image, by running it where the client can."""


class Docker:
    """`docker` with a dockerd that has the mirror in `registry-mirrors`.

    Those are for Docker Hub only; an image of another registry is pulled by the mirror's address.
    """

    name = "docker"
    manner = "registry-mirrors"

    def __init__(
        self, folder: Path, socket: Path, mirror: str, program: str = place_of("docker")
    ) -> None:
        self._folder = folder
        self._environment = isolate(folder) | {"DOCKER_HOST": f"unix://{socket}"}
        self._mirror = mirror
        self._program = program

    def name_of(self, image: Image) -> str:
        """Return what a person types."""
        if image.registry == HUB:
            return f"{image.repository.removeprefix('library/')}:{image.tag}"
        return f"{self._mirror}/{image}"

    def pull(self, image: Image) -> None:
        """Pull it."""
        self.docker("pull", self.name_of(image))

    def read(self, image: Image) -> str:
        """Run it."""
        return self.docker("run", "--rm", self.name_of(image)).strip()

    def docker(self, *arguments: str, **environment: str) -> str:
        """Run a docker command and return what it printed."""
        return finish([self._program, *arguments], self._environment | environment)

    def forget(self) -> None:
        """Remove every container, image and build cache."""
        self.docker("system", "prune", "--all", "--force")
        assert self.docker("images", "--all", "--quiet") == ""


class Ctr:
    """`ctr` with a `hosts.toml` for each registry, all naming the same mirror: it sends `ns`."""

    name = "ctr"
    manner = "hosts.toml, ns"

    def __init__(
        self,
        folder: Path,
        socket: Path,
        mirror: str,
        registries: Sequence[str] = REGISTRIES,
        program: str = place_of("ctr"),
    ) -> None:
        self._folder = folder
        self._hosts = folder / "hosts"
        for registry in registries:
            place = self._hosts / registry
            place.mkdir(parents=True)
            # `server` as well, or containerd goes to the registry itself when the mirror fails.
            (place / "hosts.toml").write_text(
                f'server = "http://{mirror}"\n'
                f'[host."http://{mirror}"]\n'
                '  capabilities = ["pull", "resolve"]\n'
            )
        self._environment = isolate(folder)
        self._command = [program, "--address", str(socket), "--namespace", "entrepot"]
        self._runc_root = folder / "runc"
        self._runs = 0

    def pull(self, image: Image, *options: str) -> None:
        """Pull it."""
        self._ctr("images", "pull", "--hosts-dir", str(self._hosts), *options, str(image))

    def hosts_file(self, image: Image) -> Path:
        """Return the file of the image's registry."""
        return self._hosts / image.registry / "hosts.toml"

    def read(self, image: Image) -> str:
        """Run it."""
        self._runs += 1
        # To a file: what it prints to `ctr` is lost when it ends before `ctr` begins to listen.
        printed = self._runc_root.with_name(f"printed-{self._runs}")
        options = ("--rm", "--runc-root", str(self._runc_root), "--log-uri", f"file://{printed}")
        self._ctr("run", *options, str(image), f"run-{self._runs}")
        return printed.read_text().strip()

    def forget(self) -> None:
        """Remove every image; its content goes with it."""
        names = self._ctr("images", "list", "--quiet").split()
        if names:
            self._ctr("images", "remove", "--sync", *names)
        assert self._ctr("content", "list", "--quiet") == ""

    def _ctr(self, *arguments: str) -> str:
        return finish([*self._command, *arguments], self._environment)


class Podman:
    """`podman` with the locations of all registries rewritten to paths below the mirror."""

    name = "podman"
    manner = "location"

    def __init__(self, folder: Path, mirror: str, registries: Sequence[str] = REGISTRIES) -> None:
        self._folder = folder
        self.registries = folder / "registries.conf"
        self.registries.write_text(
            "\n".join(
                f'[[registry]]\nprefix = "{name}"\nlocation = "{mirror}/{name}"\ninsecure = true\n'
                for name in registries
            )
        )
        self._policy = folder / "policy.json"
        self._policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        settings = {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.registries),
        }
        self._environment = isolate(folder) | settings
        self._write_settings(folder, settings)

    def _write_settings(self, folder: Path, settings: dict[str, str]) -> None:
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n'
        )
        # What cleans up after a container must find the same settings, or podman waits for it.
        inherited = [f"{name}={value}" for name, value in settings.items()]
        inherited.append(f"PATH={self._environment['PATH']}")
        (folder / "containers.conf").write_text(
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nlock_type = "file"\n'
            f'runtime = "runc"\ntmp_dir = "{folder}/tmp"\n'
            f'volume_path = "{folder}/volumes"\nimage_copy_tmp_dir = "{folder}"\n'
            f"conmon_env_vars = {json.dumps(inherited)}\n"
            f'[engine.runtimes]\nrunc = ["{place_of("runc")}"]\n'
            f'[network]\nnetwork_config_dir = "{folder}/networks"\n'
        )

    def pull(self, image: Image, *options: str) -> None:
        """Pull it."""
        policy = f"--signature-policy={self._policy}"
        self._podman("pull", "--quiet", policy, *options, str(image))

    def read(self, image: Image) -> str:
        """Run it."""
        # What podman allows a container by default can be more than this machine allows podman.
        limits = ("--ulimit=nofile=512:512", "--ulimit=nproc=512:512")
        options = ("--rm", "--pull=never", "--network=none", *limits)
        return self._podman("run", *options, str(image)).strip()

    def forget(self) -> None:
        """Remove every container and image."""
        self._podman("rmi", "--all", "--force")
        assert self._podman("images", "--all", "--quiet") == ""

    def _podman(self, *arguments: str) -> str:
        return finish([place_of("podman"), *arguments], self._environment)


class Skopeo:
    """`skopeo copy --all` from the mirror's own address, the registry named in the path."""

    name = "skopeo"
    manner = "address, --all"

    def __init__(self, folder: Path, mirror: str) -> None:
        self._environment = isolate(folder)
        self._copies = folder / "copies"
        self._copies.mkdir()
        self._mirror = mirror

    def pull(self, image: Image) -> None:
        """Copy it into a folder, every platform, byte for byte."""
        command = [place_of("skopeo"), "--insecure-policy", "copy", "--all", "--quiet"]
        source = ["--src-tls-verify=false", f"docker://{self._mirror}/{image}"]
        copy = self._copy_of(image)
        copy.mkdir(parents=True, exist_ok=True)
        finish([*command, *source, f"dir:{copy}"], self._environment)
        copied = {digest_of(content) for content in self._contents(image)}
        assert image.digests == copied, f"{image} came incomplete or changed"

    def read(self, image: Image) -> str:
        """Read the message from the layer that has it."""
        layers = [blob for blob in self._contents(image) if blob.startswith(b"\x1f\x8b")]
        messages = sorted(filter(None, map(read_message, layers)), key=len)
        # Those of other platforms name the platform after the message.
        return messages[0]

    def forget(self) -> None:
        """Remove every copy."""
        shutil.rmtree(self._copies)
        self._copies.mkdir()

    def _copy_of(self, image: Image) -> Path:
        return self._copies / image.registry / image.repository.replace("/", "-")

    def _contents(self, image: Image) -> list[bytes]:
        folder = self._copy_of(image)
        return [path.read_bytes() for path in folder.iterdir() if path.name != "version"]
