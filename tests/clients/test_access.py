"""Real clients of a mirror in mode `users`: each is let in, or not, as the rules say."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients import engines
from tests.clients.conftest import build, make_home, require
from tests.clients.engines import Engine
from tests.clients.programs import missing, place_of
from tests.clients.site import GITHUB_TOOL, HELLO, HUB_TOOL, Site
from tests.fakes.proxies import Recorder
from tests.harness.daemons import finish, isolate
from tests.harness.mirror import MirrorProcess
from tests.harness.planted import CLIENT_HEADER, USER_PASSWORD

PASSWORD = USER_PASSWORD
HUB_PASSWORD = CLIENT_HEADER
RULES = [
    {"who": ["alice"], "allow": ["docker.io/*", "ghcr.io/*"]},
    {"who": ["ci"], "allow": ["docker.io/library/*"]},
]


@dataclass(frozen=True)
class UsersSite:
    """A mirror of the site's upstreams that lets only some in, and a recorder in front of it."""

    mirror: MirrorProcess
    front: Recorder
    token: str

    @property
    def login_host(self) -> str:
        """The address of the mirror by the name that asks for a login."""
        return f"localhost:{self.front.port}"

    def path_for(self, token: str) -> str:
        """Return the URL of the mirror with a token in its path."""
        return f"http://{self.front.host}/t/{token}/"


@pytest.fixture(scope="module")
def users_site(running_site: Site, folder: Path) -> Iterator[UsersSite]:
    """A mirror with the user alice and the token ci."""
    upstreams = {name: each.url for name, each in running_site.upstreams.items()}
    access = {"mode": "users", "login_hosts": ["localhost"], "rules": RULES}
    mirror = MirrorProcess(folder / "users-mirror", upstreams, {"access": access})
    with mirror, Recorder(mirror.host) as front:
        assert not mirror.run(
            "users", "add", "alice", "--password-stdin", stdin=PASSWORD
        ).returncode
        made = json.loads(mirror.run("tokens", "add", "ci", "--json").stdout)
        yield UsersSite(mirror, front, made["token"])


@pytest.fixture(scope="module")
def home(folder: Path) -> Path:
    """What the clients of this file keep."""
    return make_home(folder, "users")


def fail(command: list[str], environment: dict[str, str]) -> str:
    """Run a command that has to fail, and return what it said."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=environment,
    )
    assert done.returncode != 0, done.stdout
    return done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["ci", "unknown"])
def test_docker_has_a_token_in_its_mirror(users_site: UsersSite, folder: Path, kind: str) -> None:
    """It pulls what the token may; and its user's password for Docker Hub stays at home.

    Docker 20.10 of Debian takes no path in `registry-mirrors`; Docker 29 does.
    """
    require(missing("ip", as_root=True))
    token = users_site.token if kind == "ci" else "ent_aaaaaaaa_" + "a" * 32
    place = make_home(folder, f"docker-{kind}")
    login = base64.b64encode(f"somebody:{HUB_PASSWORD}".encode()).decode()
    configuration = {"auths": {"https://index.docker.io/v1/": {"auth": login}}}
    (place / "config.json").write_text(json.dumps(configuration))
    begun = len(users_site.front.received)
    engine = Engine(engines.CONTAINERD_2, *map(build, engines.PROGRAMS))

    with engines.run_recent(place / "e", engine, [users_site.path_for(token)]) as (_, socket):
        environment = isolate(place) | {
            "DOCKER_HOST": f"unix://{socket}",
            "DOCKER_CONFIG": str(place),
        }
        pull = [engine.docker, "pull"]
        run = finish if kind == "ci" else fail
        run([*pull, str(HELLO)], environment)
        fail([*pull, str(HUB_TOOL)], environment)

    sent = bytes(users_site.front.received[begun:])
    assert f"/t/{token}/v2/".encode() in sent
    assert b"authorization" not in sent.lower()


def test_docker_logs_in(users_site: UsersSite, dockerd: Path, folder: Path) -> None:
    """By the name of a login host, with a password: then it pulls by that name."""
    place = make_home(folder, "docker-login")
    host = users_site.login_host
    image = f"{host}/{GITHUB_TOOL}"
    environment = isolate(place) | {"DOCKER_HOST": f"unix://{dockerd}"}
    docker = place_of("docker")

    fail([docker, "pull", image], environment)
    assert "unauthorized" in fail([docker, "login", host, "-u", "alice", "-p", "x"], environment)
    finish([docker, "login", host, "-u", "alice", "-p", PASSWORD], environment)
    finish([docker, "pull", image], environment)
    finish([docker, "login", host, "-u", "ci", "-p", users_site.token], environment)
    finish([docker, "pull", f"{host}/{HELLO}"], environment)
    fail([docker, "pull", f"{host}/{HUB_TOOL}"], environment)
    finish([docker, "rmi", "--force", image, f"{host}/{HELLO}"], environment)


def test_podman_logs_in(users_site: UsersSite, home: Path) -> None:
    """With a password or a token; what is not allowed is not found."""
    require(missing("podman", as_root=True))
    host = users_site.login_host
    (home / "policy.json").write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    (home / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{home}/root"\nrunroot = "{home}/run"\n'
    )
    environment = isolate(home) | {"CONTAINERS_STORAGE_CONF": str(home / "storage.conf")}
    podman = place_of("podman")
    options = ["--tls-verify=false"]
    policy = f"--signature-policy={home / 'policy.json'}"
    pull = [podman, "pull", "--quiet", policy, *options]

    fail([*pull, f"{host}/{HELLO}"], environment)
    finish([podman, "login", *options, "-u", "alice", "-p", PASSWORD, host], environment)
    finish([*pull, f"{host}/{GITHUB_TOOL}"], environment)
    finish([podman, "login", *options, "-u", "ci", "-p", users_site.token, host], environment)
    finish([*pull, f"{host}/{HELLO}"], environment)
    said = fail([*pull, f"{host}/{HUB_TOOL}"], environment)

    assert "manifest unknown" in said


@pytest.mark.parametrize(
    ("who", "image", "is_allowed"),
    [
        (["--creds", f"alice:{PASSWORD}"], GITHUB_TOOL, True),
        (["--creds", "alice:wrong password"], HELLO, False),
        (["--registry-token", "TOKEN"], HELLO, True),
        (["--registry-token", "TOKEN"], GITHUB_TOOL, False),
        (["--no-creds"], HELLO, False),
    ],
)
def test_skopeo(
    users_site: UsersSite, home: Path, who: list[str], image: object, is_allowed: bool
) -> None:
    """With a password, which gets a token; with a token as Bearer; and with nothing."""
    require(missing("skopeo"))
    given = [users_site.token if each == "TOKEN" else each for each in who]
    name = f"docker://{users_site.login_host}/{image}"
    command = [place_of("skopeo"), "inspect", "--raw", "--tls-verify=false", *given, name]

    run = finish if is_allowed else fail
    run(command, isolate(home))


@pytest.mark.parametrize("manner", ["header", "path"])
def test_containerd(users_site: UsersSite, containerd: Path, folder: Path, manner: str) -> None:
    """With a header in hosts.toml, or a token in the path, it pulls what the token may."""
    place = make_home(folder, f"ctr-{manner}")
    base = f"http://{users_site.front.host}"
    lines = ['  capabilities = ["pull", "resolve"]']
    if manner == "header":
        lines += [f'  [host."{base}".header]', f'    Authorization = "Bearer {users_site.token}"']
    else:
        base = f"{base}/t/{users_site.token}/docker.io/v2"
        lines += ["  override_path = true"]
    for registry in ("docker.io", "ghcr.io"):
        (place / registry).mkdir()
        text = "\n".join(['server = "http://127.0.0.1:9"', f'[host."{base}"]', *lines, ""])
        (place / registry / "hosts.toml").write_text(text)
    ctr = [place_of("ctr"), "--address", str(containerd), "--namespace", f"users-{manner}"]
    pull = [*ctr, "images", "pull", "--hosts-dir", str(place)]

    finish([*pull, str(HELLO)], isolate(place))
    fail([*pull, str(HUB_TOOL)], isolate(place))
    finish([*ctr, "images", "remove", "--sync", str(HELLO)], isolate(place))
