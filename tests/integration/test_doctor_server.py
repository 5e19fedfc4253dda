"""`entrepot doctor` beside a server: what is wrong with it, and what helps."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import clean_environment, run_command
from tests.harness.mirror import MirrorProcess

BLOCK = 4096
SMALL = {"limit": "1MiB", "reserve": 0}  # whatever the disk of this machine has


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    """An upstream that a test may break."""
    with FakeUpstream() as running:
        yield running


def start(
    folder: Path, hub: FakeUpstream, settings: Mapping[str, Any] | None = None
) -> MirrorProcess:
    return MirrorProcess(folder, {"docker.io": hub.url}, {"storage": SMALL, **(settings or {})})


def examine(config: Path, code: int = 1) -> dict[str, dict[str, Any]]:
    """Return the findings of the server by their checks; no client is on this machine."""
    environment = clean_environment() | {"PATH": str(config.parent / "nothing")}
    words = ("doctor", "--config", str(config), "--json")
    done = run_command(*words, environment=environment)
    assert done.returncode == code, done.stdout + done.stderr
    report = json.loads(done.stdout)
    return {each["check"]: each for each in report["server"]}


def change(config: Path, old: str, new: str) -> None:
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


def test_a_healthy_server(tmp_path: Path, upstream: FakeUpstream) -> None:
    """Each check is made, and none finds anything; the sentence says it first."""
    with start(tmp_path / "m", upstream) as mirror:
        found = examine(mirror.config, 0)
        text = mirror.run("doctor", "--client", "skopeo").stdout
    bad = {check: each for check, each in found.items() if each["state"] in ("warn", "fail")}
    assert {check for check in bad if not is_elsewhere(check)} == set()
    assert found["upstream docker.io"]["state"] == "ok"
    checks = {"settings", "TLS", "access", "server", "workers", "version", "disk space"}
    assert checks | {"file system", "audit", "catalog"} <= found.keys()
    assert "The server on this machine:" in text


def is_elsewhere(check: str) -> bool:
    """Whether a check is about a registry that no test can reach, or about this machine's disk."""
    return (
        check.startswith("upstream ") and check != "upstream docker.io"
    ) or check == "file system"


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    """The error names the line, and all other checks need the settings."""
    config = tmp_path / "wrong.toml"
    config.write_text("[storage]\nlimt = 1\n")
    found = examine(config)
    assert found.keys() == {"settings"}
    assert "limt" in found["settings"]["sentence"]
    assert found["settings"]["cure"] == "entrepot config check"


def test_no_server(tmp_path: Path, upstream: FakeUpstream) -> None:
    """It is stopped, or another program has its port."""
    mirror = start(tmp_path / "m", upstream)
    mirror.start().stop()
    found = examine(mirror.config)["server"]
    assert (found["state"], found["cure"]) == ("fail", "entrepot serve")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        change(mirror.config, mirror.host, f"127.0.0.1:{port}")
        taken = examine(mirror.config)["server"]
    assert "another program has its port" in taken["sentence"]
    assert f":{port}" in taken["cure"]


def test_a_server_that_listens_elsewhere(tmp_path: Path, upstream: FakeUpstream) -> None:
    """The settings were changed, and it was not restarted."""
    with start(tmp_path / "m", upstream) as mirror:
        change(mirror.config, mirror.host, "127.0.0.1:9")
        found = examine(mirror.config)["server"]
        change(mirror.config, "127.0.0.1:9", mirror.host)
    assert "nobody listens at 127.0.0.1:9" in found["sentence"]
    assert found["cure"] == "systemctl restart entrepot"


def test_an_upstream_that_cannot_be_used(tmp_path: Path, upstream: FakeUpstream) -> None:
    """The step that fails is named: the name, the connection, the login."""
    mirror = start(tmp_path / "m", upstream)
    with mirror:
        url = upstream.url
        cases = {
            "http://no-such-host.invalid": ("the step 'name' fails", "getent hosts no-such"),
            "http://127.0.0.1:9": ("the step 'connection' fails", "entrepot upstreams test"),
        }
        for endpoint, (said, cure) in cases.items():
            change(mirror.config, url, endpoint)
            found = examine(mirror.config)["upstream docker.io"]
            change(mirror.config, endpoint, url)
            assert found["state"] == "fail"
            assert said in found["sentence"]
            assert cure in found["cure"]


def test_a_login_that_an_upstream_refuses(tmp_path: Path, upstream: FakeUpstream) -> None:
    """The step is the token, and the reason names the settings."""
    password = tmp_path / "password"
    password.write_text("wrong\n")
    upstream.require_user = ("ann", "right")
    table = {
        "endpoints": [upstream.url],
        "username": "ann",
        "password_file": str(password),
        "auth_realms": [upstream.realm.split("/")[2]],
    }
    with MirrorProcess(tmp_path / "m", {"docker.io": table}) as mirror:
        found = examine(mirror.config)["upstream docker.io"]
    assert found["state"] == "fail"
    assert "the step 'token' fails" in found["sentence"]
    assert "check username and password_file" in found["sentence"]


def test_a_pull_limit_that_is_nearly_used_up(tmp_path: Path, upstream: FakeUpstream) -> None:
    """Asking does not use it up: manifests are asked for by HEAD, also where HEAD is refused."""
    upstream.add_image("library/hello-world", "latest", [b"x"])
    upstream.pulls_left = 3
    with start(tmp_path / "m", upstream) as mirror:
        found = examine(mirror.config, 0)["upstream docker.io"]
        upstream.head_status = 405
        refused = examine(mirror.config, 0)["upstream docker.io"]
    assert (found["state"], "3 of 100 pulls left" in found["sentence"]) == ("warn", True)
    assert found["cure"] == "set username and password_file in the settings"
    assert refused["state"] == "ok"
    assert upstream.pulls_left == 3


def test_an_upstream_that_is_offline_by_setting(tmp_path: Path, upstream: FakeUpstream) -> None:
    """It is not asked."""
    with start(tmp_path / "m", upstream, {"offline": True}) as mirror:
        asked = len(upstream.journal)
        found = examine(mirror.config, 0)
    assert found["upstreams"]["state"] == "skipped"
    assert len(upstream.journal) == asked


def test_a_disk_that_is_too_small(tmp_path: Path, upstream: FakeUpstream) -> None:
    """There is less free than the reserve, or less than the limit needs."""
    with start(tmp_path / "m", upstream) as mirror:
        change(mirror.config, "reserve = 0", 'reserve = "900TiB"')
        full = examine(mirror.config)["disk space"]
        change(mirror.config, 'reserve = "900TiB"', "reserve = 0")
        change(mirror.config, '"1MiB"', '"900TiB"')
        large = examine(mirror.config, 0)["disk space"]
    assert (full["state"], "entrepot cache evict" in full["cure"]) == ("fail", True)
    assert large["state"] == "warn"
    assert large["cure"].startswith("write storage.limit = ")


def test_a_damaged_catalog(tmp_path: Path, upstream: FakeUpstream) -> None:
    """It is found without a server too."""
    mirror = start(tmp_path / "m", upstream)
    mirror.start().stop()
    catalog = mirror.data / "catalog.db"
    content = bytearray(catalog.read_bytes())
    for at in range(2 * BLOCK, len(content), BLOCK):
        content[at : at + 64] = b"\xff" * 64
    catalog.write_bytes(content)
    found = examine(mirror.config)["catalog"]
    assert found["state"] == "fail"
    assert "made again" in found["sentence"] or "makes it again" in found["sentence"]


def test_private_images_that_are_open_to_everybody(tmp_path: Path, upstream: FakeUpstream) -> None:
    """The server listens at all addresses, asks nobody for a login, and has one itself."""
    password = tmp_path / "password"
    password.write_text("p4ss\n")
    password.chmod(0o600)
    table = {"endpoints": [upstream.url], "username": "me", "password_file": str(password)}
    mirror = MirrorProcess(tmp_path / "m", {"docker.io": table})
    with mirror:
        change(mirror.config, f'listen = "{mirror.host}"', 'listen = "0.0.0.0:59999"')
        found = examine(mirror.config)["access"]
    assert found["state"] == "warn"
    assert "your login of docker.io" in found["sentence"]
    assert 'access.mode = "users"' in found["cure"]


def test_a_certificate_that_ends(tmp_path: Path, upstream: FakeUpstream) -> None:
    """A key of another certificate is named, too."""
    made = run_command("tls", "self-signed", "--host", "127.0.0.1", "--out", str(tmp_path / "a"))
    assert made.returncode == 0, made.stderr
    run_command("tls", "self-signed", "--host", "127.0.0.1", "--out", str(tmp_path / "b"))
    mirror = start(tmp_path / "m", upstream)
    mirror.start().stop()
    files = f'tls_cert = "{find_file(tmp_path / "a", "crt")}"\ntls_key = '
    own, other = (f'"{find_file(tmp_path / each, "key")}"' for each in "ab")
    change(mirror.config, '["server"]\n', f'["server"]\n{files}{own}\n')
    assert examine(mirror.config)["TLS"]["state"] == "ok"
    change(mirror.config, own, other)
    found = examine(mirror.config)["TLS"]
    assert (found["state"], "do not belong together" in found["sentence"]) == ("fail", True)


def find_file(folder: Path, suffix: str) -> Path:
    """Return the certificate or the key of the server in a folder of `entrepot tls`."""
    (found,) = [each for each in folder.iterdir() if each.name == f"server.{suffix}"]
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_the_folder_of_another_user(tmp_path: Path, upstream: FakeUpstream) -> None:
    """It names the user that has to run the command, and looks at nothing in it."""
    mirror = start(tmp_path / "m", upstream)
    mirror.start().stop()
    os.chown(mirror.data / "catalog.db", 65534, 65534)
    found = examine(mirror.config)["data folder"]
    assert "belongs to user 65534" in found["sentence"]
    assert "as that user" in found["cure"]
