"""Which registry a request means: five URL shapes, the host's prefix, and no other registry."""

from collections.abc import Iterator

import pytest

from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch

CORP = "registry.corp:5000"
LISTED = ["docker.io", "ghcr.io", CORP, "quay.io"]


@pytest.fixture(scope="module")
def other_hub() -> Iterator[FakeUpstream]:
    """A second registry; it plays ghcr.io and one with a port."""
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def bystander() -> Iterator[FakeUpstream]:
    """A registry that is not configured: no request may reach it."""
    with FakeUpstream(auth="none") as upstream:
        upstream.add_image("library/nginx", "1", [b"the bystander's"])
        yield upstream


@pytest.fixture(scope="module")
def mirror(
    shared_hub: FakeUpstream,
    other_hub: FakeUpstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MirrorProcess]:
    """A mirror of three registries."""
    upstreams = {"docker.io": shared_hub.url, "ghcr.io": other_hub.url, CORP: other_hub.url}
    with MirrorProcess(tmp_path_factory.mktemp("routing"), upstreams, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def nginx(shared_hub: FakeUpstream) -> Image:
    return shared_hub.add_image("library/nginx", "1", [b"Docker Hub's"])


@pytest.fixture(scope="module")
def app(other_hub: FakeUpstream) -> Image:
    return other_hub.add_image("team/app", "1", [b"the other's"])


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v2/library/nginx/{}", {}),
        ("/v2/nginx/{}", {}),
        ("/v2/library/nginx/{}?ns=docker.io", {}),
        ("/v2/nginx/{}?ns=docker.io", {}),
        ("/v2/library/nginx/{}?ns=registry-1.docker.io", {}),
        ("/docker.io/v2/library/nginx/{}", {}),
        ("/docker.io/v2/nginx/{}", {}),
        ("/v2/docker.io/library/nginx/{}?ns=docker.io", {}),
        ("/v2/docker.io/library/nginx/{}", {}),
        ("/v2/docker.io/nginx/{}", {}),
        ("/v2/index.docker.io/nginx/{}", {}),
        ("/v2/nginx/{}", {"Host": "docker.io.mirror.lan:5000"}),
        ("/v2/library/nginx/{}", {"Host": "mirror.lan"}),
    ],
)
def test_docker_hub_is_reached_in_every_shape(
    mirror: MirrorProcess, nginx: Image, path: str, headers: dict[str, str]
) -> None:
    """All shapes lead to Docker Hub, with `library/` added once every prefix is gone."""
    manifest = fetch(mirror.url + path.format("manifests/1"), headers)
    blob = fetch(mirror.url + path.format(f"blobs/{nginx.layers[0]}"), headers)

    assert (manifest.status, manifest.body) == (200, nginx.manifest)
    assert (blob.status, blob.body) == (200, b"Docker Hub's")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v2/team/app/{}?ns=ghcr.io", {}),
        ("/ghcr.io/v2/team/app/{}", {}),
        ("/v2/ghcr.io/team/app/{}?ns=ghcr.io", {}),
        ("/v2/ghcr.io/team/app/{}", {}),
        ("/v2/team/app/{}", {"Host": "ghcr.io.mirror.lan:5000"}),
        ("/v2/team/app/{}", {"Host": "GHCR.io.mirror.lan"}),
        (f"/v2/team/app/{{}}?ns={CORP}", {}),
        (f"/v2/team/app/{{}}?ns={CORP.replace(':', '%3A')}", {}),
        (f"/{CORP}/v2/team/app/{{}}", {}),
        (f"/v2/{CORP}/team/app/{{}}", {}),
    ],
)
def test_other_registries_are_reached_in_every_shape(
    mirror: MirrorProcess, app: Image, path: str, headers: dict[str, str]
) -> None:
    """All shapes lead to a registry that is no default, also to one with a port."""
    manifest = fetch(mirror.url + path.format("manifests/1"), headers)
    blob = fetch(mirror.url + path.format(f"blobs/{app.layers[0]}"), headers)

    assert (manifest.status, manifest.body) == (200, app.manifest)
    assert (blob.status, blob.body) == (200, b"the other's")


def test_library_is_docker_hubs_alone(mirror: MirrorProcess, other_hub: FakeUpstream) -> None:
    """Other registries have names of one segment, and they stay as they are."""
    image = other_hub.add_image("solo", "1", [b"solo"])

    answer = fetch(f"{mirror.url}/v2/ghcr.io/solo/manifests/1")

    assert (answer.status, answer.body) == (200, image.manifest)


@pytest.mark.parametrize(
    "path",
    [
        "/v2/library/nginx/{}?ns=registry.example.net",
        "/v2/library/nginx/{}?ns={}",
        "/registry.example.net/v2/library/nginx/{}",
        "/v2/registry.example.net/library/nginx/{}",
        "/v2/{1}/library/nginx/{0}",
        "/v2/localhost/library/nginx/{}",
        "/{1}/v2/library/nginx/{0}",
    ],
)
@pytest.mark.parametrize("what", ["manifests/1", "blobs/sha256:" + "0" * 64, "tags/list"])
def test_the_mirror_is_no_open_proxy(
    mirror: MirrorProcess, bystander: FakeUpstream, path: str, what: str
) -> None:
    """Another registry is 404 NAME_UNKNOWN, which only the log explains; no upstream is asked."""
    answer = fetch(mirror.url + path.format(what, bystander.host))

    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")
    assert [name for name in LISTED if name in answer.message] == []
    mirror.await_failure(f"configured upstreams: {LISTED[0]}")
    assert len(bystander.journal) == 0, bystander.journal


@pytest.mark.parametrize("path", ["/registry.example.net/v2/", "/registry.example.net/v2/_catalog"])
def test_an_unknown_prefix_is_said_at_once(mirror: MirrorProcess, path: str) -> None:
    """A mirror URL with a wrong path fails at the ping, where its user still looks."""
    answer = fetch(mirror.url + path)

    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")
    assert "its operator can add it" in answer.message


@pytest.mark.parametrize("path", ["/ghcr.io/v2/", "/ghcr.io/v2", "/v2/?ns=ghcr.io"])
def test_a_known_prefix_may_be_pinged(mirror: MirrorProcess, path: str) -> None:
    """dockerd pings below the path of its mirror URL."""
    assert fetch(mirror.url + path).status == 200


@pytest.mark.parametrize(("ns", "status"), [("ghcr.io", 404), ("harbor.lan", 404), ("", 200)])
def test_a_name_that_begins_with_a_registry_is_none_of_its_repositories(
    mirror: MirrorProcess, nginx: Image, ns: str, status: int
) -> None:
    """containerd's request for `ghcr.io/docker.io/library/nginx` gets nothing of Docker Hub."""
    query = f"?ns={ns}" if ns else ""

    manifest = fetch(f"{mirror.url}/v2/docker.io/library/nginx/manifests/1{query}")
    blob = fetch(f"{mirror.url}/v2/docker.io/library/nginx/blobs/{nginx.layers[0]}{query}")

    assert (manifest.status, blob.status) == (status, status)


def test_a_registry_says_nothing_for_another(
    mirror: MirrorProcess, app: Image, nginx: Image
) -> None:
    """The same name in two registries is two repositories."""
    in_hub = fetch(f"{mirror.url}/v2/team/app/manifests/1")
    in_corp = fetch(f"{mirror.url}/v2/{CORP}/library/nginx/manifests/1")

    assert [in_hub.status, in_corp.status] == [404, 404]
