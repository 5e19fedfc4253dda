"""Laws of what files of clients mean for a mirror."""

from collections.abc import Mapping
from pathlib import PurePosixPath

import pytest

from registry.clients.diagnosis.cause import NOT_SET_UP, Diagnosis
from registry.clients.diagnosis.docker import diagnose_docker
from registry.clients.diagnosis.examined import Examined
from registry.clients.diagnosis.known import DIAGNOSES, UNITS
from registry.clients.diagnosis.pulling import explain_output, list_pulls
from registry.clients.diagnosis.services import Service, parse_service
from registry.clients.known import CLIENTS
from registry.clients.mirror import parse_mirror

URL = "http://10.0.0.5:5000"
MIRROR = parse_mirror(URL, ["docker.io"])
HOSTS = "/etc/containerd/certs.d/docker.io/hosts.toml"


def examine(
    client: str, files: Mapping[str, str], began: float = 0, changed: float = 0
) -> Examined:
    """Return a client on a machine with these files, which were changed at one time."""
    return Examined(
        client,
        "docker.io",
        MIRROR,
        lambda path: files.get(str(path)),
        lambda folder: tuple(
            each.rpartition("/")[2] for each in files if each.rpartition("/")[0] == str(folder)
        ),
        lambda _: changed,
        PurePosixPath("/home/me"),
        service=Service(UNITS.get(client, ""), began),
    )


def diagnose(client: str, **files: str) -> Diagnosis:
    """Return what is found with files, whose names are those of the paths below."""
    paths = {
        "hosts": HOSTS,
        "system": "/etc/containers/registries.conf",
        "k3s": "/etc/rancher/k3s/registries.yaml",
        "buildkit": "/etc/buildkit/buildkitd.toml",
        "config": "/etc/containerd/config.toml",
    }
    return DIAGNOSES[client](examine(client, {paths[name]: text for name, text in files.items()}))


def list_kinds(found: Diagnosis) -> list[str]:
    return [each.kind for each in found.causes]


@pytest.mark.parametrize("client", DIAGNOSES)
def test_without_files_nobody_has_set_it_up(client: str) -> None:
    """The cure is the command that does; the client is one that it knows."""
    found = diagnose(client)
    assert list_kinds(found)[:1] == [NOT_SET_UP]
    assert f"entrepot setup {client} --mirror {URL} --write" in found.causes[0].cure
    assert client in CLIENTS


@pytest.mark.parametrize("client", ["docker", *DIAGNOSES])
def test_each_client_can_pull_a_probe(client: str) -> None:
    """There is a command for it, and the image is in it, or in the Dockerfile."""
    commands = list_pulls(client, "docker.io/a:b", PurePosixPath("/certs.d"))
    assert commands
    for each in commands:
        named = any(word.endswith("docker.io/a:b") for word in each.words)
        assert named != each.needs_dockerfile


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (f'[host."{URL}"]\n', []),
        (f'server = "{URL}"\n', []),
        (f'[host."{URL}"]\ncapabilities = ["pull", "resolve", "push"]\n', []),
        (f'[host."{URL}"]\ncapabilities = ["resolve"]\n', ["capabilities"]),
        (f'[host."{URL}/docker.io"]\noverride_path = true\n', ["path"]),
        (f'[host."{URL}/v2/docker.io"]\noverride_path = true\n', []),
        (f'[host."https://a.example"]\n[host."{URL}"]\n', ["not first"]),
        ('[host."https://10.0.0.5:5000"]\n', ["scheme"]),
        ('[host."https://a.example"]\n', ["other mirror"]),
        ("[host\n", ["damaged"]),
        ('host = "x"\n', ["other mirror"]),
    ],
)
def test_what_hosts_files_mean(text: str, kinds: list[str]) -> None:
    """Each mistake has a kind; what is right has none."""
    assert kinds == list_kinds(diagnose("nerdctl", hosts=text))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ('disabled_plugins = ["cri"]\n', []),
        (
            (
                '[plugins."io.containerd.grpc.v1.cri".registry]\n'
                'config_path = "/etc/containerd/certs.d"'
            ),
            [],
        ),
        ("version = 2\n", ["config_path"]),
        ("version = [\n", ["damaged"]),
    ],
)
def test_what_the_file_of_containerd_means(text: str, kinds: list[str]) -> None:
    """A containerd that Kubernetes does not use needs no config_path."""
    found = diagnose("containerd", hosts=f'[host."{URL}"]\n', config=text)
    assert kinds == list_kinds(found)


def test_the_old_tables_of_containerd_are_read_too() -> None:
    """As version 1 does where there is no config_path."""
    head = '[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = '
    assert list_kinds(diagnose("containerd", config=f'{head}["{URL}"]')) == []
    assert list_kinds(diagnose("containerd", config=f'{head}["https://a"]')) == ["old tables"]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (
            (
                'location = "docker.io"\n[[registry.mirror]]\n'
                'location = "10.0.0.5:5000/docker.io"\ninsecure = true'
            ),
            [],
        ),
        ('prefix = "docker.io"\nlocation = "10.0.0.5:5000/docker.io"\ninsecure = true', []),
        ('location = "docker.io"\nblocked = true', ["blocked", "other mirror"]),
        (
            'location = "quay.io"\n[[registry.mirror]]\nlocation = "10.0.0.5:5000/quay.io"',
            [NOT_SET_UP],
        ),
    ],
)
def test_what_registries_files_mean(text: str, kinds: list[str]) -> None:
    """An entry counts for its prefix, or else for its location."""
    assert kinds == list_kinds(diagnose("podman", system=f"[[registry]]\n{text}\n"))


def test_a_wildcard_of_k3s_counts() -> None:
    """As for every registry without an entry of its own."""
    text = f'mirrors:\n  "*":\n    endpoint: ["{URL}"]\n'
    assert list_kinds(diagnose("k3s", k3s=text)) == []
    assert list_kinds(diagnose("k3s", k3s="mirrors: [")) == ["damaged"]


def test_a_restart_is_missing_only_if_the_file_is_newer() -> None:
    """And nothing is said where it is not known since when the daemon runs."""
    files = {"/etc/rancher/k3s/registries.yaml": f'mirrors: {{docker.io: {{endpoint: ["{URL}"]}}}}'}
    for began, changed, kinds in ((100, 50, []), (100, 150, ["not restarted"]), (0, 150, [])):
        assert kinds == list_kinds(DIAGNOSES["k3s"](examine("k3s", files, began, changed)))


def test_a_first_mirror_that_is_another_is_a_warning() -> None:
    """It stays, also if the client is seen to use the mirror."""
    info = {"RegistryConfig": {"Mirrors": ["https://a.example/", f"{URL}/"]}}
    (cause,) = diagnose_docker(info, examine("docker", {})).causes
    assert (cause.kind, cause.stays) == ("not first", True)


def test_what_systemd_says() -> None:
    """Times are epoch seconds; another form, as of old versions, is not known."""
    output = 'Environment=HTTP_PROXY=http://p:1 "A=b c"\nActiveEnterTimestamp=@12\n'
    assert parse_service(output) == (12.0, {"HTTP_PROXY": "http://p:1", "A": "b c"})
    assert parse_service("ActiveEnterTimestamp=Tue 2026-12-01\nEnvironment='\n") == (0.0, {})


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("10.0.0.5:5000: x509: certificate signed by unknown authority", "ca"),
        (
            "Get https://10.0.0.5:5000/v2/: http: server gave HTTP response to HTTPS client",
            "insecure",
        ),
        ("dial tcp 10.0.0.5:5000: connect: connection refused", "refused"),
        ("docker.io: dial tcp 1.2.3.4:443: connect: connection refused", ""),
        ("10.0.0.5:5000: manifest unknown", ""),
    ],
)
def test_what_the_output_of_a_pull_says_of_the_mirror(line: str, kind: str) -> None:
    """A line about another host says nothing."""
    cause = explain_output("docker", f"first\n{line}\n", MIRROR)
    assert kind == (cause.kind if cause else "")
