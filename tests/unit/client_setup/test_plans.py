"""What each client needs, beside the file that the golden files show."""

from pathlib import PurePosixPath

import pytest

from registry.clients.edits import AddItem, SetValue
from registry.clients.known import CLIENTS
from registry.clients.merging import merge
from registry.clients.mirror import Mirror, parse_mirror
from registry.clients.plan import ClientPlan, Scope
from registry.settings.values import Refusal

CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
TABLE_2 = '[plugins."io.containerd.grpc.v1.cri".registry]'
TABLE_3 = '[plugins."io.containerd.cri.v1.images".registry]'
SYSTEM, USER = Scope(), Scope(PurePosixPath("/home/ann"))
LOCAL = parse_mirror("http://127.0.0.1:5000", ["docker.io", "ghcr.io"])
REMOTE = parse_mirror("http://10.0.0.5:5000", ["docker.io", "ghcr.io"])
SECURE = parse_mirror("https://mirror.lan:5000", ["docker.io"], ca=CA, token="ent_1_2")


def plan(
    client: str, mirror: Mirror, scope: Scope = SYSTEM, files: dict[str, str] | None = None
) -> ClientPlan:
    return CLIENTS[client](mirror, scope, lambda path: (files or {}).get(str(path)))


def list_texts(made: ClientPlan) -> dict[str, str]:
    """Return the content of each file that there was not before."""
    return {str(each.path): merge(each.kind, "", each.edits) for each in made.files}


@pytest.mark.parametrize(
    ("client", "paths"),
    [
        ("docker", [".config/docker/daemon.json"]),
        ("docker-29", [".config/docker/certs.d/_default/hosts.toml"]),
        ("containerd", [".config/containerd/certs.d/_default/hosts.toml"]),
        ("nerdctl", [".config/containerd/certs.d/_default/hosts.toml"]),
        ("podman", [".config/containers/registries.conf.d/50-entrepot.conf"]),
        ("buildkit", [".config/buildkit/buildkitd.toml"]),
    ],
)
def test_files_of_a_user(client: str, paths: list[str]) -> None:
    """Rootless clients read the files below the home of their user."""
    made = plan(client, LOCAL, USER)
    assert [f"/home/ann/{path}" for path in paths] == [str(each.path) for each in made.files]


def test_dockerd_knows_plain_http_only_of_its_own_machine() -> None:
    """For another one, pulls by the address of the mirror need the second setting."""
    names = [
        [each.place for each in plan("docker", mirror).files[-1].edits]
        for mirror in (LOCAL, REMOTE)
    ]
    assert names == [
        [("registry-mirrors",)],
        [("registry-mirrors",), ("insecure-registries",)],
    ]


@pytest.mark.parametrize(
    ("client", "places"),
    [
        (
            "docker",
            ["/etc/docker/certs.d/mirror.lan:5000/ca.crt", "/etc/docker/certs.d/docker.io/ca.crt"],
        ),
        ("docker-29", ["/etc/docker/certs.d/mirror.lan:5000/ca.crt"]),
        ("containerd", ["/etc/containerd/certs.d/mirror.lan:5000/ca.crt"]),
        ("podman", ["/etc/containers/certs.d/mirror.lan:5000/ca.crt"]),
        ("buildkit", ["/etc/buildkit/entrepot-ca.crt"]),
        ("k3s", ["/etc/rancher/k3s/entrepot-ca.crt"]),
    ],
)
def test_the_authority_is_installed(client: str, places: list[str]) -> None:
    """Each client finds it where it looks, or where its file says."""
    texts = list_texts(plan(client, SECURE))
    assert [path for path, text in texts.items() if text == CA] == places
    looks_itself = client in ("docker", "podman")
    assert looks_itself or any(f'"{places[0]}"' in text for text in texts.values())


@pytest.mark.parametrize(
    ("client", "has"),
    [
        ("docker", "https://mirror.lan:5000/t/ent_1_2/"),
        ("docker-29", 'Authorization = "Bearer ent_1_2"'),
        ("containerd", 'Authorization = "Bearer ent_1_2"'),
        ("k3s", "https://mirror.lan:5000/t/ent_1_2/v2"),
    ],
)
def test_the_token_is_installed(client: str, has: str) -> None:
    """In the path, or as a header; other users may not read the file if it is new."""
    made = plan(client, SECURE)
    secret = [each for each in made.files if each.is_secret]
    assert [has in merge(each.kind, "", each.edits) for each in secret] == [True]
    assert not [each for each in plan(client, REMOTE).files if each.is_secret]


@pytest.mark.parametrize("client", ["podman", "buildah", "skopeo", "cri-o", "buildkit"])
def test_clients_that_take_no_token_from_a_file_need_a_login(client: str) -> None:
    """It is not written where it would do nothing, and the command is said."""
    made = plan(client, SECURE)
    assert not [text for text in list_texts(made).values() if "ent_1_2" in text]
    assert any("login" in each and "mirror.lan:5000" in each for each in made.notes)


@pytest.mark.parametrize("name", ["hosts.toml", "ca.crt"])
def test_a_folder_of_one_registry_hides_the_one_for_all(name: str) -> None:
    """So the mirror is added to it too."""
    own = "/etc/containerd/certs.d/ghcr.io"
    made = plan("nerdctl", LOCAL, files={f"{own}/{name}": ""})
    default = "/etc/containerd/certs.d/_default/hosts.toml"
    assert [default, f"{own}/hosts.toml"] == [str(each.path) for each in made.files]


def test_docker_is_said_to_read_another_file() -> None:
    """What was written for the containerd store takes the place of registry-mirrors."""
    default = "/etc/docker/certs.d/_default/hosts.toml"
    notes = plan("docker", LOCAL, files={default: ""}).notes
    assert [each for each in notes if default in each]
    assert not [each for each in plan("docker", LOCAL).notes if "hosts.toml" in each]


def test_named_registries_get_files_of_their_own() -> None:
    """And all others are pulled as before."""
    mirror = parse_mirror("http://m:1", ["ghcr.io", "quay.io"], are_named=True)
    paths = [str(each.path) for each in plan("docker-29", mirror).files]
    assert paths == [f"/etc/docker/certs.d/{name}/hosts.toml" for name in ("ghcr.io", "quay.io")]


@pytest.mark.parametrize(
    ("text", "edits", "folder"),
    [
        (
            f'version = 3\n{TABLE_3}\nconfig_path = "/opt/a:/b"',
            0,
            "/opt/a",
        ),
        ('disabled_plugins = ["cri"]\n', 0, "/etc/containerd/certs.d"),
        ("version = 3\n", 1, "/etc/containerd/certs.d"),
        ("", 2, "/etc/containerd/certs.d"),
    ],
)
def test_containerd_is_told_of_the_folder_once(text: str, edits: int, folder: str) -> None:
    """If it has one, that is used; without Kubernetes, nobody reads the setting."""
    made = plan("containerd", LOCAL, files={"/etc/containerd/config.toml": text})
    (hosts, *configuration) = made.files
    assert str(hosts.path) == f"{folder}/_default/hosts.toml"
    assert edits == sum(len(each.edits) for each in configuration)
    assert bool(edits) == bool(made.restart)


@pytest.mark.parametrize(
    ("client", "path", "text", "why"),
    [
        (
            "containerd",
            "/etc/containerd/config.toml",
            "root = '/x'",
            "has version 1, and not 2 or 3",
        ),
        (
            "containerd",
            "/etc/containerd/config.toml",
            f"version = 2\n{TABLE_2}\nmirrors.x.endpoint = ['y']",
            "has mirrors, beside which containerd takes no config_path",
        ),
        (
            "containerd",
            "/etc/containerd/config.toml",
            f"version = 2\n{TABLE_2}\nconfigs.x.tls.ca_file = ''",
            "has configs",
        ),
        (
            "podman",
            "/etc/containers/registries.conf",
            "[registries.search]\nregistries = []",
            "version 1",
        ),
        (
            "podman",
            "/etc/containers/registries.conf",
            '[[registry]]\nlocation = "docker.io"\nblocked = true',
            r"has a \[\[registry\]\] of docker.io",
        ),
        ("podman", "/etc/containers/registries.conf", "[[registry", "not TOML"),
        (
            "podman",
            "/etc/containers/registries.conf.d/entrepot.conf",
            '[[registry]]\nprefix = "docker.io"',
            "only one of both would count",
        ),
    ],
)
def test_what_would_not_work_is_refused(client: str, path: str, text: str, why: str) -> None:
    """A client that cannot start, or a rule that is replaced unseen, is worse than no mirror."""
    with pytest.raises(Refusal, match=why):
        plan(client, LOCAL, files={path: text})


@pytest.mark.parametrize("client", ["kind", "minikube"])
def test_nodes_do_not_reach_this_machine_as_themselves(client: str) -> None:
    """127.0.0.1 is the node itself there."""
    with pytest.raises(Refusal, match=r"127\.0\.0\.1:5000 is the node itself there"):
        plan(client, LOCAL, USER)


def test_minikube_has_files_of_users_only() -> None:
    """It belongs to a user, whose files it copies into the node."""
    with pytest.raises(Refusal, match="add --user"):
        plan("minikube", REMOTE)


def test_kind_gets_its_files_by_a_command() -> None:
    """One command of the shell, with each file and its path in the node."""
    (step,) = plan("kind", SECURE).steps
    assert "cat > /etc/containerd/certs.d/_default/hosts.toml" in step
    assert "cat > /etc/containerd/certs.d/mirror.lan:5000/ca.crt" in step
    assert step.count("\nEND\n") == 2


def test_a_registry_with_a_port_is_not_for_podman() -> None:
    """No client takes a second port in an image's name."""
    mirror = parse_mirror("http://m:1", ["registry.lan:5000", "docker.io"])
    made = plan("podman", mirror)
    assert [each.prefix for each in made.files[-1].edits] == ["docker.io"]  # type: ignore[union-attr]
    assert any("registry.lan:5000" in note for note in made.notes)


def test_buildx_needs_the_network_of_the_host_for_a_mirror_on_it() -> None:
    """In the network of its container, 127.0.0.1 is the container."""
    assert "network=host" in plan("buildkit", LOCAL).steps[0]
    assert "network=host" not in plan("buildkit", REMOTE).steps[0]


def test_edits_say_what_they_are() -> None:
    """A setting, or an item of a list: what is taken away again depends on that."""
    kinds = {type(each) for each in plan("k3s", SECURE).files[-1].edits}
    assert kinds == {AddItem, SetValue}
