"""Peers that no package has: they are built once, by `python -m benchmarks.built_peers`.

It takes half an hour on two cores. A peer that is not built is not measured.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import rust_programs
from benchmarks.peers import Peer, Place, start_registry
from benchmarks.processes import Server
from benchmarks.rust_programs import RustMissing, RustProgram
from tests.harness import go_programs
from tests.harness.build_commands import BuildBroken
from tests.harness.free_port import find_free_port
from tests.harness.go_programs import GoMissing, GoProgram

DISTRIBUTION = GoProgram(
    "distribution",
    "github.com/distribution/distribution/v3/cmd/registry",
    "v3.1.2",
    is_fast=True,
)
NORA = RustProgram("nora", "nora-registry", "1.4.3")
ANGOS = RustProgram("angos", "angos", "1.6.0", "https://github.com/project-angos/angos")
ANGOS_SETTINGS = """
[server]
bind_address = "127.0.0.1"
port = {port}
[global.access_policy]
default = "allow"
[blob_store.fs]
root_dir = "{folder}/content"
[repository."hub".access_policy]
default = "allow"
[[repository."hub".upstream]]
url = "http://{upstream}"
"""


class BuiltPeer(Peer):
    """A peer at one version, which is measured if it is built."""

    def __init__(self, program: GoProgram | RustProgram) -> None:
        self.program = program

    def explain_absence(self) -> str:
        """Look for the built program."""
        if self.program.place.is_file():
            return ""
        return f"{self.program.name} {self.read_version()} is not built (make built-peers)"

    def read_version(self) -> str:
        """Return the version that is built."""
        return self.program.version.removeprefix("v")


class Distribution(BuiltPeer):
    """The successor of docker-registry, as a pull-through proxy; with `root`, behind TLS."""

    name = "distribution-3"

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(DISTRIBUTION)
        self._root = root

    def start(self, folder: Path, upstream: str) -> Place:
        """Start it with the settings of docker-registry."""
        program = str(self.program.place)
        return start_registry(
            self.name, folder, upstream=upstream, root=self._root, program=program
        )


class Nora(BuiltPeer):
    """A registry in Rust for many formats; it transfers a blob once."""

    name = "nora"

    def __init__(self) -> None:
        super().__init__(NORA)

    def start(self, folder: Path, upstream: str) -> Place:
        """Start it with its defaults, without its limit of requests."""
        port = find_free_port()
        environment = {
            "NORA_HOST": "127.0.0.1",
            "NORA_PORT": str(port),
            "NORA_STORAGE_PATH": str(folder / "content"),
            "NORA_DOCKER_PROXIES": f"http://{upstream}",
            "NORA_RATE_LIMIT_ENABLED": "false",
        }
        server = Server([str(self.program.place), "serve"], folder / "log", environment)
        return Place(self.name, port, server.wait_for(port).pid, server.stop)


class Angos(BuiltPeer):
    """A registry in Rust that passes a blob through, and fetches it a second time to keep it."""

    name = "angos"

    def __init__(self) -> None:
        super().__init__(ANGOS)

    def start(self, folder: Path, upstream: str) -> Place:
        """Start it with its defaults; it names the upstream in the path."""
        port = find_free_port()
        settings = folder / "config.toml"
        settings.write_text(ANGOS_SETTINGS.format(folder=folder, port=port, upstream=upstream))
        command = [str(self.program.place), "-c", str(settings), "server"]
        server = Server(command, folder / "log")
        return Place(self.name, port, server.wait_for(port).pid, server.stop, "/v2/hub/")


def main() -> int:
    """Build what is missing, and say how long it took; 1 if a build has failed."""
    builds: list[Callable[[], Path]] = [
        lambda: go_programs.build(DISTRIBUTION),
        lambda: rust_programs.build(ANGOS),
        lambda: rust_programs.build(NORA),
    ]
    code = 0
    for build in builds:
        begun = time.monotonic()
        try:
            said = f"{build()} ready after {time.monotonic() - begun:.0f} s"
        except (GoMissing, RustMissing) as missing:
            said = str(missing)
        except BuildBroken as broken:
            said, code = str(broken), 1
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
