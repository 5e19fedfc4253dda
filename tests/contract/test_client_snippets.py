"""The configurations of clients in the documents are what `entrepot setup` writes."""

import re
from pathlib import Path, PurePosixPath

import pytest

from registry.clients.known import CLIENTS
from registry.clients.merging import merge
from registry.clients.mirror import Mirror, parse_mirror
from registry.clients.plan import Scope

ROOT = Path(__file__).resolve().parents[2]
LOCAL = parse_mirror("http://127.0.0.1:5000", ["docker.io", "ghcr.io"])
TOKEN = parse_mirror("http://mirror.lan:5000", ["docker.io"], token="TOKEN")
# The page, the beginning of the paragraph above the block, the client, its file, and the mirror.
SNIPPETS = [
    ("README.md", "**Docker**", "docker", "daemon.json", LOCAL),
    ("README.md", "**containerd**", "containerd", "hosts.toml", LOCAL),
    ("README.md", "nerdctl reads that folder by itself", "containerd", "config.toml", LOCAL),
    ("README.md", "**Podman,", "podman", "50-entrepot.conf", LOCAL),
    ("README.md", "**BuildKit**", "buildkit", "buildkitd.toml", LOCAL),
    ("README.md", "**k3s, RKE2**", "k3s", "registries.yaml", LOCAL),
    ("docs/clients.md", "- **Docker 29 and newer", "docker-29", "hosts.toml", LOCAL),
    ("docs/access.md", "containerd can send a token", "containerd", "hosts.toml", TOKEN),
]


def read_block(page: str, begin: str) -> str:
    """Return the first block of code below a paragraph, without the indentation of a list."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text.count(f"\n{begin}") == 1, begin
    below = text.partition(f"\n{begin}")[2]
    found = re.search(r"^( *)```(?:json|toml|yaml)\n(.*?)^ *```$", below, re.MULTILINE | re.DOTALL)
    assert found is not None
    return re.sub(rf"^{found[1]}", "", found[2], flags=re.MULTILINE)


def write_text(client: str, file: str, mirror: Mirror) -> tuple[PurePosixPath, str]:
    """Return the path and the content of a client's file, where there was none."""
    plan = CLIENTS[client](mirror, Scope(), lambda _path: None)
    (found,) = (each for each in plan.files if each.path.name == file)
    return found.path, merge(found.kind, "", found.edits)


@pytest.mark.parametrize(("page", "begin", "client", "file", "mirror"), SNIPPETS)
def test_a_snippet_is_what_is_written(
    page: str, begin: str, client: str, file: str, mirror: Mirror
) -> None:
    """Who copies it by hand has the same file as who lets the command write it."""
    assert write_text(client, file, mirror)[1] == read_block(page, begin)


@pytest.mark.parametrize(("page", "begin", "client", "file", "mirror"), SNIPPETS)
def test_the_place_of_a_snippet_is_named(
    page: str, begin: str, client: str, file: str, mirror: Mirror
) -> None:
    """In the paragraph above it."""
    path, _ = write_text(client, file, mirror)
    text = (ROOT / page).read_text(encoding="utf-8").partition(f"\n{begin}")[2]
    above = text.partition("```")[0]
    is_named = str(path) in above or file in above
    assert is_named, f"{path} is not in {above}"


def test_every_client_is_in_the_table_of_the_page() -> None:
    """Whoever reads docs/clients.md finds the word that the command takes."""
    text = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
    table = text.partition("| `entrepot setup …`")[2].partition("\n\n")[0]
    assert [*CLIENTS] == re.findall(r"^\| `([a-z0-9-]+)`", table, re.MULTILINE)
