"""`entrepot tls`: what it makes is all that a mirror and its clients need."""

import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import run_command
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch, wait_until

RULES = [{"who": ["alice"], "allow": ["docker.io/*"]}]
READ_AGAIN = "certificate read again"


def make(*arguments: str) -> dict[str, Any]:
    """Run a sub-command, and return its report."""
    done = run_command("tls", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_mirror_begins_with_it(shared_hub: FakeUpstream, tmp_path: Path) -> None:
    """From nothing to a client that pulls by its certificate, with what is printed only."""
    shared_hub.add_image("team/first", "1", [b"first"])
    server = make("self-signed", "--host", "mirror.lan", "--out", str(tmp_path / "tls"))
    client = make("client", "alice", "--out", str(tmp_path / "tls"))
    settings = {
        "server": {
            "tls_cert": server["certificate"],
            "tls_key": server["key"],
            "client_ca": client["authority"],
        },
        "access": {"mode": "users", "rules": RULES},
    }
    trust = {name: ssl.create_default_context(cafile=server["authority"]) for name in ("", "alice")}
    trust["alice"].load_cert_chain(client["certificate"], client["key"])

    with MirrorProcess(tmp_path, {"docker.io": shared_hub.url}, settings, workers=1) as mirror:
        assert not mirror.run("users", "add", "alice", "--no-password").returncode
        url = f"https://{mirror.host}/v2/team/first/manifests/1"
        wait_until(lambda: fetch(url, tls=trust["alice"]).status == 200, "the user counts")
        assert fetch(url, tls=trust[""]).status == 404

        renewed = make("self-signed", "--host", "mirror.lan", "--out", str(tmp_path / "tls"))
        wait_until(lambda: fetch(url, tls=trust["alice"]) and mirror.events(READ_AGAIN), "a look")
        assert fetch(url, tls=trust["alice"]).status == 200

    assert (server["has_new_authority"], renewed["has_new_authority"]) == (True, False)
    assert server["authority"] == renewed["authority"]


def test_the_folder_is_beside_the_settings(tmp_path: Path) -> None:
    """Not in the current folder: a second authority would be made by mistake."""
    config = tmp_path / "entrepot.toml"
    config.write_text('[server]\ntls_cert = "tls/server.crt"\ntls_key = "tls/server.key"\n')

    server = make("self-signed", "--config", str(config))
    client = make("client", "bob", "--config", str(config))

    assert server["certificate"] == str(tmp_path / "tls" / "server.crt")
    assert client["key"] == str(tmp_path / "tls" / "clients" / "bob.key")
    checked = run_command("config", "check", "--config", str(config))
    assert checked.returncode == 0, checked.stderr


def test_people_read_what_to_do(tmp_path: Path) -> None:
    """The lines for the settings, and where each client wants the file, with its address."""
    arguments = ("--host", "10.0.0.5", "--host", "mirror.lan", "--out", str(tmp_path))

    said = run_command("tls", "self-signed", *arguments).stdout

    assert f'  tls_cert = "{tmp_path}/server.crt"\n' in said
    assert f'  tls_key = "{tmp_path}/server.key"\n' in said
    assert "/etc/docker/certs.d/10.0.0.5:5000/ca.crt" in said
    assert "/etc/containers/certs.d/10.0.0.5:5000/ca.crt" in said
    assert '[host."https://10.0.0.5:5000"]' in said
    assert "it is for: 10.0.0.5, mirror.lan, localhost, 127.0.0.1, ::1" in said
    assert "PRIVATE" not in said

    said = run_command("tls", "client", "alice", "--out", str(tmp_path)).stdout

    assert f'  client_ca = "{tmp_path}/ca.crt"\n' in said
    assert "  entrepot users add alice --no-password\n" in said
    assert "PRIVATE" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("self-signed", "--host", "https://mirror.lan"), 2, "without https:// and without a port"),
        (("client", "Alice"), 2, "Alice"),
        (("client", "alice"), 2, "run: entrepot tls self-signed"),
        (("self-signed", "--config", "/nowhere.toml"), 2, "there is no file '/nowhere.toml'"),
        (("self-signed", "--out", "/dev/null/tls"), 1, "/dev/null/tls: File exists"),
    ],
)
def test_errors_say_what_to_do(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """In one line, and nothing is made."""
    given = () if "--out" in arguments or "--config" in arguments else ("--out", f"{tmp_path}/tls")

    done = run_command("tls", *arguments, *given)

    assert done.returncode == code
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [*tmp_path.iterdir()] == []
