"""Each client's file before and after `setup --write`, byte for byte, and again after `--undo`."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from registry.clients.files import ClientFiles
from registry.clients.installation import Installation
from registry.clients.known import CLIENTS
from registry.clients.mirror import parse_mirror
from registry.clients.plan import Scope
from registry.errors import ClientFileInvalid
from tests.unit.client_setup.trees import describe_tree

GOLDEN = Path(__file__).with_name("golden")
MIRROR = parse_mirror("http://10.0.0.5:5000", ["docker.io", "ghcr.io"])
RECORD = PurePosixPath("/etc/entrepot/setup.json")
# The path of each client's file, and the folder with its golden files.
FILES = {
    "docker": ("/etc/docker/daemon.json", "docker"),
    "docker-29": ("/etc/docker/certs.d/_default/hosts.toml", "docker-29"),
    "containerd": ("/etc/containerd/config.toml", "containerd"),
    "nerdctl": ("/etc/containerd/certs.d/_default/hosts.toml", "hosts"),
    "podman": ("/etc/containers/registries.conf.d/50-entrepot.conf", "podman"),
    "buildah": ("/etc/containers/registries.conf.d/50-entrepot.conf", "podman"),
    "skopeo": ("/etc/containers/registries.conf.d/50-entrepot.conf", "podman"),
    "cri-o": ("/etc/containers/registries.conf.d/50-entrepot.conf", "podman"),
    "buildkit": ("/etc/buildkit/buildkitd.toml", "buildkit"),
    "k3s": ("/etc/rancher/k3s/registries.yaml", "k3s"),
    "rke2": ("/etc/rancher/rke2/registries.yaml", "k3s"),
    "minikube": ("/home/.minikube/files/etc/containerd/certs.d/_default/hosts.toml", "hosts"),
}
CASES = ("absent", "empty", "ours", "foreign", "comments", "symlink", "read-only", "crlf")


@dataclass(frozen=True)
class Stage:
    """A root with the file of a client, in one of the cases, and what it shall become."""

    root: Path
    client: str
    path: PurePosixPath
    after: bytes

    @property
    def file(self) -> Path:
        """Where the file is below the root."""
        return self.root / self.path.relative_to("/")

    def open(self) -> Installation:
        """Open the files of the client anew, as each run of the command does."""
        return Installation(ClientFiles(self.root), RECORD)

    def write(self) -> list[PurePosixPath]:
        """Write what the client needs, and return which files were written."""
        installation = self.open()
        scope = Scope(PurePosixPath("/home") if self.client == "minikube" else None)
        plan = CLIENTS[self.client](MIRROR, scope, installation.read_without(self.client))
        return [each.change.path for each in installation.write(self.client, plan)]


def make_stage(root: Path, client: str, case: str) -> Stage:
    path, folder = FILES[client]
    golden = GOLDEN / folder
    names = {"empty": "absent", "ours": "absent", "comments": "comments", "inline": "inline"}
    name = names.get(case, "absent" if case == "absent" else "foreign")
    after = (golden / f"{name}.after").read_bytes()
    before = (golden / f"{name}.before").read_bytes() if name != "absent" else b""
    if case == "ours":
        before = after
    if case == "crlf":
        before, after = before.replace(b"\n", b"\r\n"), after.replace(b"\n", b"\r\n")
    stage = Stage(root, client, PurePosixPath(path), after)
    if case == "absent":
        return stage
    stage.file.parent.mkdir(parents=True)
    file = stage.file
    if case == "symlink":
        file = root / "dotfiles" / "the-file"
        file.parent.mkdir()
        stage.file.symlink_to(file)
    file.write_bytes(before)
    file.chmod(0o440 if case == "read-only" else 0o640)
    return stage


EVERY = [
    (client, case)
    for client in FILES
    for case in CASES
    if (client, case) != ("docker", "comments")  # JSON has none: see below
]
EVERY.append(("docker", "inline"))


@pytest.mark.parametrize(("client", "case"), EVERY)
def test_a_file_becomes_what_the_golden_one_is(tmp_path: Path, client: str, case: str) -> None:
    """What is in it stays as it is written, with mode and link, and what the client needs is added.

    A second time there is nothing to do. Undone, everything is byte for byte as it was.
    """
    stage = make_stage(tmp_path, client, case)
    before = describe_tree(tmp_path)
    mode = stage.file.stat().st_mode if case != "absent" else None

    written = stage.write()

    assert stage.after == stage.file.read_bytes()
    assert (stage.path in written) == (case != "ours")
    assert mode in (None, stage.file.stat().st_mode)
    assert stage.file.is_symlink() == (case == "symlink")
    held = describe_tree(tmp_path)
    assert stage.write() == []
    assert held == describe_tree(tmp_path)
    stage.open().undo(client)
    assert before == describe_tree(tmp_path)


def test_comments_in_json_are_refused(tmp_path: Path) -> None:
    """dockerd itself would not read them; the line is named, and nothing is written."""
    stage = make_stage(tmp_path, "docker", "absent")
    stage.file.parent.mkdir(parents=True)
    stage.file.write_bytes((GOLDEN / "docker" / "comments.before").read_bytes())
    before = describe_tree(tmp_path)

    with pytest.raises(ClientFileInvalid, match=r"daemon\.json:2: it has a comment"):
        stage.write()

    assert before == describe_tree(tmp_path)


def test_every_client_with_files_has_golden_ones() -> None:
    """kind has none: its files are in its nodes."""
    assert {*CLIENTS} - {"kind"} == {*FILES}
