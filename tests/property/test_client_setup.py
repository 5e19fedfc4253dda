"""Clients are set up and undone over any files, in any order: all that others wrote stays."""

import tomllib
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.clients import json_text, yaml_text
from registry.clients.edits import AddItem, AddRegistry, Edit, Kind, SetValue
from registry.clients.files import ClientFiles
from registry.clients.installation import Installation
from registry.clients.known import CLIENTS
from registry.clients.merging import merge, withdraw
from registry.clients.mirror import parse_mirror
from registry.clients.plan import Scope
from registry.errors import ClientFileInvalid
from registry.settings.values import Refusal
from tests.unit.client_setup.trees import describe_tree

# Parts of files that people write; any of them may stand together, with any indentation.
TOML_PARTS = (
    "# a comment\n",
    "\n",
    '[registry."docker.io"]\n  mirrors = ["a", "b"] # mine\n',
    '[registry."docker.io"]\nmirrors = [\n  "a", # first\n  "b"\n]\nhttp = true\n',
    '[registry."registry.lan"]\n  # in the cellar\n  insecure = true\n',
    "[registry]\n",
    "[worker.oci]\n  gc = [ {all = true, keep = 3} ]\n",
    "[host]\n",
    '[host."https://o"]\n  capabilities = ["pull"]\n  [host."https://o".header]\n  a = "#"\n',
    '[[policy]]\n  text = """\n[host."x"]\n"""\n',
)
YAML_PARTS = (
    "# a comment\n",
    "\n",
    "mirrors:\n  docker.io:\n    endpoint:\n      - a # first\n      - b\n",
    "mirrors:\n    registry.lan: {endpoint: [a, 'b']}\n    # the end\n",
    "mirrors: {docker.io: {endpoint: []}}\n",
    "mirrors:\n",
    "configs:\n  registry.lan:\n    auth: {username: a}\n",
    "other: |\n  mirrors:\n    a: b\n\n",
)
JSON_PARTS = (
    '"debug": true',
    '"registry-mirrors": ["a", "b"]',
    '"registry-mirrors": [\n    "a"\n  ]',
    '"registry-mirrors": []',
    '"log-opts": {"tag": "{{.Name}}", "a": ["]", "}"]}',
    '"insecure-registries" : [ "x" ]',
)
EDITS: dict[Kind, tuple[Edit, ...]] = {
    "toml": (
        AddItem(("registry", "docker.io", "mirrors"), "m:5"),
        AddItem(("registry", "ghcr.io", "mirrors"), "m:5"),
        SetValue(("registry", "m:5", "http"), value=True),
        SetValue(("host", "http://m:5", "capabilities"), ("pull",), is_first=True),
    ),
    "yaml": (
        AddItem(("mirrors", "docker.io", "endpoint"), "http://m:5"),
        AddItem(("mirrors", "ghcr.io", "endpoint"), "http://m:5"),
        SetValue(("configs", "m:5", "tls", "ca_file"), "/ca"),
    ),
    "json": (
        AddItem(("registry-mirrors",), "http://m:5"),
        AddItem(("insecure-registries",), "m:5"),
    ),
}
PARSE = {"toml": tomllib.loads, "yaml": yaml_text.parse, "json": json_text.parse}


def write_json(parts: list[str]) -> str:
    return "{\n  " + ",\n  ".join(parts) + "\n}\n" if parts else "{}"


TEXTS = {
    "toml": st.lists(st.sampled_from(TOML_PARTS), unique=True).map("".join),
    "yaml": st.lists(st.sampled_from(YAML_PARTS), unique=True).map("".join),
    "json": st.lists(st.sampled_from(JSON_PARTS), unique=True).map(write_json),
}


@pytest.mark.parametrize("kind", ["toml", "yaml", "json"])
@given(data=st.data())
def test_edits_are_made_once_and_taken_back(kind: Kind, data: st.DataObject) -> None:
    """The same again changes nothing. Taken back, the values are those of before.

    A text that is refused is not one that is changed in part.
    """
    text = data.draw(TEXTS[kind])
    edits = EDITS[kind]
    try:
        changed = merge(kind, text, edits)
    except Refusal:
        return
    assert changed == merge(kind, changed, edits)
    before = PARSE[kind](text)
    assert before == PARSE[kind](withdraw(kind, changed, edits, text))
    kept = [line for line in text.splitlines() if line.lstrip().startswith("#")]
    assert [line for line in kept if line not in changed.splitlines()] == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["docker", "docker-29", "nerdctl", "containerd", "podman", "cri-o", "k3s"]),
        st.sampled_from(["http://10.0.0.5:5000", "https://mirror.lan", "undo"]),
    ),
    max_size=8,
)
FILES = {
    "etc/docker/daemon.json": TEXTS["json"],
    "etc/docker/certs.d/_default/hosts.toml": TEXTS["toml"],
    "etc/rancher/k3s/registries.yaml": TEXTS["yaml"],
    "etc/containers/registries.conf.d/50-entrepot.conf": st.just("# theirs\n"),
}
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@given(found=st.fixed_dictionaries({}, optional=FILES), steps=STEPS)
def test_whatever_was_set_up_all_of_it_is_undone(
    found: dict[str, str], steps: list[tuple[str, str]]
) -> None:
    """Byte for byte, with every folder and copy."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in found.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        before = describe_tree(root)
        for client, what in steps:
            play(root, client, what)
        for client, _ in steps:
            play(root, client, "undo")
        assert before == describe_tree(root)


NOTES = {
    "nerdctl": "etc/containerd/certs.d/_default/hosts.toml",
    "containerd": "etc/containerd/certs.d/_default/hosts.toml",
    "podman": "etc/containers/registries.conf.d/50-entrepot.conf",
    "cri-o": "etc/containers/registries.conf.d/50-entrepot.conf",
    "k3s": "etc/rancher/k3s/registries.yaml",
}


@given(
    found=st.fixed_dictionaries({}, optional={each: FILES[each] for each in list(FILES)[2:]}),
    steps=st.lists(
        st.tuples(
            st.sampled_from([*NOTES]),
            st.sampled_from(["http://10.0.0.5:5000", "https://mirror.lan", "undo", "note"]),
        ),
        max_size=10,
    ),
)
def test_what_others_write_meanwhile_stays(
    found: dict[str, str], steps: list[tuple[str, str]]
) -> None:
    """Their lines are there when all is undone, and the values are those of before."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in found.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        written: dict[str, list[str]] = {}
        for number, (client, what) in enumerate(steps):
            file = root / NOTES[client]
            if what != "note":
                play(root, client, what)
            elif file.exists():
                note = f"# note {number}"
                file.write_text(f"{file.read_text()}{note}\n")
                written.setdefault(NOTES[client], []).append(note)
        for client in NOTES:
            play(root, client, "undo")
        for name in {*found, *written}:
            text, kind = (root / name).read_text(), "yaml" if name.endswith("yaml") else "toml"
            assert [line for line in text.splitlines() if "# note" in line] == written.get(name, [])
            assert PARSE[kind](text) == PARSE[kind](found.get(name, ""))
        left = [each.name for each in root.rglob("*") if ".entrepot-" in each.name]
        assert left == []


def play(root: Path, client: str, what: str) -> None:
    """Point a client at a mirror, or undo that; some files are refused."""
    installation = Installation(ClientFiles(root), PurePosixPath("/etc/entrepot/setup.json"))
    if what == "undo":
        installation.undo(client)
        return
    mirror = parse_mirror(what, ["docker.io", "ghcr.io"], ca=CA if "https" in what else "")
    try:
        plan = CLIENTS[client](mirror, Scope(), installation.read_without(client))
        installation.write(client, plan)
    except (Refusal, ClientFileInvalid):
        return


def test_an_entry_is_not_lost_between_others() -> None:
    """Entries of `registries.conf` are told apart by all that they have."""
    ours = AddRegistry("docker.io", "m:5/docker.io", is_insecure=True)
    other = AddRegistry("ghcr.io", "m:5/ghcr.io", is_insecure=True)
    both = merge("toml", "", (ours, other))
    assert withdraw("toml", both, (ours,), "") == merge("toml", "", (other,))
