"""Files that did not exist before: pages show them to anybody, so they may take little time."""

from pathlib import PurePosixPath

import pytest

from registry.clients import toml_text, yaml_text
from registry.clients.edits import Document
from registry.clients.known import CLIENTS
from registry.clients.merging import merge
from registry.clients.mirror import Mirror
from registry.clients.plan import ClientPlan, Scope

NAMES = tuple(f"registry-{number}.example.net" for number in range(50))
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
SECURE = Mirror("https", "mirror.lan", ("docker.io", "ghcr.io"), ca=CA, token="ent_1_2")
PLAIN = Mirror("http", "10.0.0.5:5000", ("docker.io", "ghcr.io"))


def plan(client: str, mirror: Mirror) -> ClientPlan:
    scope = Scope(PurePosixPath("/home/ann")) if client == "minikube" else Scope()
    return CLIENTS[client](mirror, scope, lambda _: None)


@pytest.mark.parametrize("mirror", [SECURE, PLAIN], ids=["secure", "plain"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_new_file_is_what_its_edits_make_one_by_one(client: str, mirror: Mirror) -> None:
    """Each of them finds a file that has the earlier ones, and is checked by itself."""
    for file in plan(client, mirror).files:
        text = ""
        for edit in file.edits:
            text = merge(file.kind, text, (edit,))
        assert text == merge(file.kind, "", file.edits)


@pytest.mark.parametrize(
    ("client", "form"), [("k3s", yaml_text), ("podman", toml_text), ("buildkit", toml_text)]
)
def test_a_new_file_is_read_once(
    monkeypatch: pytest.MonkeyPatch, client: str, form: object
) -> None:
    """For fifty registries, reading it after each edit takes a second and a half."""
    (file,) = plan(client, Mirror("http", f"{client}.example.net", NAMES)).files
    texts: list[str] = []
    parse = form.parse  # type: ignore[attr-defined]

    def count(text: str) -> Document:
        texts.append(text)
        parsed: Document = parse(text)
        return parsed

    monkeypatch.setattr(form, "parse", count)

    merge(file.kind, "", file.edits)

    assert len(texts) == 1
