"""`entrepot setup` as users call it: what it prints, what it writes, and what it refuses."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.harness.commands import clean_environment, run_command

MIRROR = "http://10.0.0.5:5000"
DAEMON = "etc/docker/daemon.json"


def set_up(root: Path, *words: str) -> dict[str, Any]:
    """Run the command below a root, and return its report."""
    done = run_command("setup", *words, "--root", str(root), "--json")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_it_shows_the_whole_file_and_the_next_steps(tmp_path: Path) -> None:
    """What is in the file already is shown too; nothing is written."""
    file = tmp_path / DAEMON
    file.parent.mkdir(parents=True)
    file.write_text('{\n  "debug": true\n}\n')
    done = run_command("setup", "docker", "--mirror", MIRROR, "--root", str(tmp_path))
    assert done.returncode == 0
    assert done.stdout.startswith(
        "/etc/docker/daemon.json:\n\n{\n"
        '  "debug": true,\n'
        f'  "registry-mirrors": ["{MIRROR}"],\n'
        '  "insecure-registries": ["10.0.0.5:5000"]\n'
        "}\n\nNothing is written: add --write for that.\n"
    )
    assert "  systemctl reload docker\n" in done.stdout
    assert "docker info --format" in done.stdout
    assert file.read_text() == '{\n  "debug": true\n}\n'


def test_it_writes_once_and_undoes(tmp_path: Path) -> None:
    """The second time there is nothing to do; the undoing names the file, and how it is read."""
    words = ("docker", "--mirror", MIRROR)
    written = set_up(tmp_path, *words, "--write")
    again = set_up(tmp_path, *words, "--write")
    shown = set_up(tmp_path, *words)
    undone = set_up(tmp_path, "docker", "--undo")
    states = [[(each["path"], each["state"]) for each in run["files"]] for run in (written, again)]
    assert states == [[("/etc/docker/daemon.json", "new")], []]
    assert [each["state"] for each in shown["files"]] == ["unchanged"]
    assert [each["state"] for each in undone["files"]] == ["deleted"]
    assert undone["restart"] == ["systemctl restart docker"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_needed_any_more_is_named(tmp_path: Path) -> None:
    """A run for one registry after one for all: the file for all would still count."""
    words = ("setup", "nerdctl", "--mirror", MIRROR, "--root", str(tmp_path))
    everywhere = "/etc/containerd/certs.d/_default/hosts.toml"
    assert run_command(*words, "--write").returncode == 0

    shown = run_command(*words, "--registries", "ghcr.io").stdout
    assert f"{everywhere} is not needed any more: --write deletes it\n" in shown
    assert (tmp_path / everywhere[1:]).exists()

    written = run_command(*words, "--registries", "ghcr.io", "--write").stdout
    assert f"\ndeleted {everywhere}, which is not needed any more\n" in written
    assert not (tmp_path / everywhere[1:]).exists()


def test_without_an_address_it_is_the_mirror_of_this_machine(tmp_path: Path) -> None:
    """Its address and registries are those of the settings."""
    config = tmp_path / "entrepot.toml"
    config.write_text(
        '[server]\nlisten = "0.0.0.0:5555"\n[upstreams."registry.lan"]\nendpoints = ["http://r.lan"]\n'
    )
    report = set_up(tmp_path / "root", "podman", "--config", str(config))
    assert report["mirror"] == "http://127.0.0.1:5555"
    text = report["files"][0]["text"]
    assert 'location = "127.0.0.1:5555/registry.lan"' in text
    assert 'location = "127.0.0.1:5555/docker.io"' in text
    config.write_text('[server]\nlisten = "127.0.0.1:0"\n')
    done = run_command("setup", "podman", "--config", str(config))
    assert done.returncode == 2
    assert "server.listen: it has no fixed port; name the address of the mirror by" in done.stderr


def test_registries_ca_and_token_come_from_options(tmp_path: Path) -> None:
    """The certificate and the token are read from files."""
    made = run_command("tls", "self-signed", "--host", "mirror.lan", "--out", str(tmp_path / "tls"))
    assert made.returncode == 0, made.stderr
    token = tmp_path / "token"
    token.write_text("ent_abc_def\n")
    words = ("--mirror", "https://mirror.lan:5000", "--registries", "ghcr.io, quay.io")
    secrets = ("--ca", str(tmp_path / "tls" / "ca.crt"), "--token-file", str(token))
    report = set_up(tmp_path / "root", "docker-29", *words, *secrets, "--write")
    paths = [each["path"] for each in report["files"]]
    assert paths == [
        "/etc/docker/certs.d/mirror.lan:5000/ca.crt",
        "/etc/docker/certs.d/ghcr.io/hosts.toml",
        "/etc/docker/certs.d/quay.io/hosts.toml",
    ]
    hosts = (tmp_path / "root" / paths[1].removeprefix("/")).read_text()
    assert 'Authorization = "Bearer ent_abc_def"' in hosts
    assert f'ca = "{paths[0]}"' in hosts


def test_files_of_a_user_are_below_home(tmp_path: Path) -> None:
    """Rootless clients read these; the record is there too."""
    environment = clean_environment() | {"HOME": str(tmp_path)}
    words = ("setup", "podman", "--mirror", MIRROR, "--user", "--write")
    done = run_command(*words, environment=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".config/containers/registries.conf.d/50-entrepot.conf").exists()
    assert (tmp_path / ".config/entrepot/setup.json").exists()


def test_a_command_of_ours_is_run_only_with_restart(tmp_path: Path) -> None:
    """And only if a file was written."""
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n')
    systemctl.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    environment = clean_environment() | {"HOME": str(tmp_path), "PATH": path}
    words = ("setup", "docker", "--mirror", MIRROR, "--user")
    called = tmp_path / "called"

    assert run_command(*words, "--write", environment=environment).returncode == 0
    assert not called.exists()
    assert run_command(*words, "--undo", "--restart", environment=environment).returncode == 0
    assert called.read_text() == "--user restart docker\n"
    for _ in range(2):
        done = run_command(*words, "--write", "--restart", environment=environment)
        assert done.returncode == 0, done.stderr
    assert called.read_text() == "--user restart docker\n--user reload docker\n"


def test_what_a_restart_prints_is_no_part_of_the_report(tmp_path: Path) -> None:
    """Programs read the report on stdout."""
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\necho restarted\n")
    systemctl.chmod(0o755)
    environment = clean_environment() | {"HOME": str(tmp_path), "PATH": str(tmp_path)}
    words = ("setup", "docker", "--mirror", MIRROR, "--user", "--write", "--restart", "--json")

    done = run_command(*words, environment=environment)

    assert json.loads(done.stdout)["restarted"] is True
    assert done.stderr == "restarted\n"


@pytest.mark.parametrize("home", ["", "relative", "//home"])
def test_an_odd_home_is_explained(tmp_path: Path, home: str) -> None:
    """It has to be the path of a folder; two slashes at its beginning mean one."""
    environment = clean_environment() | {"HOME": home}
    words = ("setup", "podman", "--mirror", MIRROR, "--user", "--root", str(tmp_path), "--write")

    done = run_command(*words, environment=environment)

    if home.startswith("/"):
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "home/.config/entrepot/setup.json").exists()
    else:
        expected = f"entrepot: --user needs the variable HOME, which is {home!r}\n"
        assert (done.returncode, done.stderr) == (2, expected)


def test_a_restart_that_fails_is_said(tmp_path: Path) -> None:
    """The files are written all the same."""
    (tmp_path / "systemctl").symlink_to("/bin/false")
    environment = clean_environment() | {"HOME": str(tmp_path), "PATH": str(tmp_path)}
    words = ("setup", "docker", "--mirror", MIRROR, "--user", "--write", "--restart")
    done = run_command(*words, environment=environment)
    assert (done.returncode, done.stderr) == (
        1,
        "entrepot: systemctl --user reload docker failed (exit 1); the files are written\n",
    )
    assert (tmp_path / ".config/docker/daemon.json").exists()
    undone = run_command(*words[:2], "--user", "--undo", "--restart", environment=environment)
    assert undone.stderr.endswith(" failed (exit 1); the files are as they were before\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("dockr",), "'dockr' is none of docker, docker-29,"),
        (("docker", "--write", "--undo"), "--write and --undo exclude each other"),
        (("docker", "--restart"), "--restart needs --write or --undo"),
        (("docker", "--write", "--restart", "--root", "/x"), "--restart is for this machine"),
        (("docker", "--mirror", "10.0.0.5:5000"), "write http://10.0.0.5:5000, or https://"),
        (("docker", "--registries", "A/B"), "invalid repository name"),
        (("docker", "--ca", "/nowhere"), "/nowhere: cannot be read (No such file"),
        (("docker", "--ca", "/bin/sh"), "/bin/sh: it is not a text"),
        (("kind",), "kind: 127.0.0.1:5000 is the node itself there"),
        (("kind", "--mirror", MIRROR, "--write"), "kind has no file on this machine"),
        (("minikube", "--mirror", MIRROR), "minikube has only files of users; add --user"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    """In one line, with the exit code of wrong use."""
    root = () if "--root" in words else ("--root", str(tmp_path))
    done = run_command("setup", *words, *root)
    assert done.returncode == 2
    assert done.stderr.startswith("entrepot: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_not_changed_is_named_with_its_line(tmp_path: Path) -> None:
    """As editors take it."""
    file = tmp_path / DAEMON
    file.parent.mkdir(parents=True)
    file.write_text('{\n  "debug": true,\n}\n')
    done = run_command("setup", "docker", "--mirror", MIRROR, "--root", str(tmp_path), "--write")
    assert (done.returncode, done.stderr) == (
        2,
        "entrepot: /etc/docker/daemon.json:2: it has a comma after the last value; remove it\n",
    )


def test_another_root_is_named_when_it_is_written(tmp_path: Path) -> None:
    """Who sets up twenty machines sees which one it was, and that it cannot reach a loopback."""
    config = tmp_path / "entrepot.toml"
    config.write_text('[server]\nlisten = "127.0.0.1:5000"\n')
    words = ("setup", "docker", "--root", str(tmp_path / "server-7"), "--config", str(config))
    done = run_command(*words, "--mirror", MIRROR, "--write")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Below {tmp_path / 'server-7'}:\nwrote /etc/docker/daemon.json")
    unreached = run_command(*words)
    assert unreached.returncode == 0
    assert "another machine does not reach http://127.0.0.1:5000" in unreached.stderr
