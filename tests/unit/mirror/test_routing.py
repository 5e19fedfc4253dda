"""Laws of routing: which registry and repository a request means."""

from collections.abc import Mapping

import pytest

from registry.errors import NameInvalid, NameUnknown
from registry.mirror.routing import RepositoryRequest, Route, UpstreamTable
from registry.oci.registries import Registries

ALIASES: Mapping[str, list[str]] = {
    "docker.io": ["index.docker.io", "registry-1.docker.io"],
    "ghcr.io": [],
    "registry.lan:5000": [],
    "localhost": [],
}
TABLE = UpstreamTable(Registries.of("docker.io", ALIASES))


def resolve(name: str, prefix: str = "", ns: str = "", host: str = "") -> str:
    found = TABLE.route(RepositoryRequest(name, prefix, ns, host))
    if found.error is not None:
        raise found.error
    return str(found.repository)


def refuse(name: str, prefix: str = "", ns: str = "", host: str = "") -> NameUnknown:
    with pytest.raises(NameUnknown) as caught:
        resolve(name, prefix, ns, host)
    return caught.value


@pytest.mark.parametrize(
    ("request_", "repository"),
    [
        # A: the default upstream
        (("library/nginx",), "docker.io/library/nginx"),
        (("nginx",), "docker.io/library/nginx"),
        (("acme/app/web",), "docker.io/acme/app/web"),
        # B: what containerd says
        (("library/nginx", "", "docker.io"), "docker.io/library/nginx"),
        (("nginx", "", "docker.io"), "docker.io/library/nginx"),
        (("nginx", "", "registry-1.docker.io"), "docker.io/library/nginx"),
        (("owner/app", "", "ghcr.io"), "ghcr.io/owner/app"),
        (("app", "", "ghcr.io"), "ghcr.io/app"),
        (("app", "", "registry.lan:5000"), "registry.lan:5000/app"),
        # C: a prefix before /v2/
        (("nginx", "docker.io"), "docker.io/library/nginx"),
        (("owner/app", "ghcr.io"), "ghcr.io/owner/app"),
        (("app", "registry.lan:5000"), "registry.lan:5000/app"),
        # D: a rewritten location, which repeats the registry in ns
        (("docker.io/library/nginx", "", "docker.io"), "docker.io/library/nginx"),
        (("index.docker.io/library/nginx", "", "docker.io"), "docker.io/library/nginx"),
        # E: direct use
        (("docker.io/nginx",), "docker.io/library/nginx"),
        (("index.docker.io/nginx",), "docker.io/library/nginx"),
        (("ghcr.io/owner/app",), "ghcr.io/owner/app"),
        (("registry.lan:5000/app",), "registry.lan:5000/app"),
        (("localhost/app",), "localhost/app"),
    ],
)
def test_shapes(request_: tuple[str, ...], repository: str) -> None:
    """Each way in which clients name a registry leads to its repository."""
    assert repository == resolve(*request_)


@pytest.mark.parametrize(
    ("host", "registry"),
    [
        ("ghcr.io.mirror.lan", "ghcr.io"),
        ("GHCR.IO.mirror.lan", "ghcr.io"),
        ("registry-1.docker.io.mirror", "docker.io"),
        ("mirror.lan", "docker.io"),
        ("ghcr.io", "docker.io"),
        ("notghcr.io.mirror.lan", "docker.io"),
        ("mirror.ghcr.io", "docker.io"),
        ("quay.io.mirror.lan", "docker.io"),
        ("localhost.mirror.lan", "docker.io"),
        ("192.0.2.1", "docker.io"),
        ("", "docker.io"),
    ],
)
def test_host_names_an_upstream(host: str, registry: str) -> None:
    """A host that begins with the whole name of an upstream means it; others mean the default."""
    assert f"{registry}/owner/app" == resolve("owner/app", host=host)


@pytest.mark.parametrize(
    ("name", "prefix", "ns", "host", "repository"),
    [
        ("owner/app", "ghcr.io", "docker.io", "localhost.lan", "ghcr.io/owner/app"),
        ("owner/app", "", "ghcr.io", "docker.io.mirror.lan", "ghcr.io/owner/app"),
        ("ghcr.io/owner/app", "", "", "registry-1.docker.io.lan", "ghcr.io/owner/app"),
    ],
)
def test_prefix_then_ns_then_name_then_host(
    name: str, prefix: str, ns: str, host: str, repository: str
) -> None:
    """The prefix decides before `ns`, `ns` before the name, and the name before the host."""
    assert repository == resolve(name, prefix, ns, host)


@pytest.mark.parametrize("name", ["docker.io/acme/app", "index.docker.io/acme/app", "quay.io/app"])
def test_ns_is_the_registry_although_the_name_begins_with_another(name: str) -> None:
    """A repository whose name begins with a registry is not taken for one of that registry.

    containerd asks so for an image such as `registry.lan:5000/docker.io/acme/app`.
    """
    assert resolve(name, ns="registry.lan:5000") == f"registry.lan:5000/{name}"
    assert refuse(name, ns="harbor.lan").name == "harbor.lan"


def test_prefix_is_not_stripped_twice() -> None:
    """After a prefix, everything is the repository's name."""
    assert resolve("docker.io/nginx", prefix="ghcr.io") == "ghcr.io/docker.io/nginx"


@pytest.mark.parametrize(
    ("name", "prefix", "ns", "wrong"),
    [
        ("nginx", "quay.io", "", "quay.io"),
        ("nginx", "", "quay.io", "quay.io"),
        ("quay.io/owner/app", "", "", "quay.io"),
        ("evil.example:443/app", "", "", "evil.example:443"),
        ("ghcr.io:444/app", "", "", "ghcr.io:444"),
        ("nginx", "", "GHCR.IO", "GHCR.IO"),
        ("nginx", "", "http://169.254.169.254/", "http://169.254.169.254/"),
        ("nginx", "a/b", "", "a/b"),
    ],
)
def test_other_registries_are_unknown(name: str, prefix: str, ns: str, wrong: str) -> None:
    """A registry that is not configured is an error, which names the configured ones."""
    error = refuse(name, prefix, ns)

    assert wrong == error.name
    assert TABLE.names == error.configured
    assert all(each in str(error) for each in TABLE.names)


@pytest.mark.parametrize("name", ["ghcr.io/", "Upper/case", "a//b", "a/../b", "-a", "a" * 256])
def test_the_rest_must_be_a_name(name: str) -> None:
    """What follows the registry has to be a repository name."""
    with pytest.raises(NameInvalid):
        resolve(name)


def test_segment_with_a_dot_inside_is_no_registry() -> None:
    """Only the first segment can be a registry."""
    assert resolve("acme/quay.io/app") == "docker.io/acme/quay.io/app"


def test_dotless_alias_gives_way_to_ns() -> None:
    """With a known `ns`, a first word that is another upstream's dotless alias is a user name."""
    assert resolve("localhost/app", ns="ghcr.io") == "ghcr.io/localhost/app"
    assert resolve("localhost/app", ns="localhost") == "localhost/localhost/app"
    assert resolve("localhost/app") == "localhost/app"


@pytest.mark.parametrize(("ns", "namespace"), [("ghcr.io", "ghcr.io"), ("quay.io", ""), ("", "")])
@pytest.mark.parametrize("name", ["app", "Not/A/Name", ""])
def test_namespace_is_that_of_a_configured_upstream(name: str, ns: str, namespace: str) -> None:
    """The route has the request's `ns` if it is known, even where there is an error."""
    assert namespace == TABLE.route(RepositoryRequest(name, namespace=ns)).namespace


def test_a_request_without_a_name_has_no_repository() -> None:
    """A ping leads to no repository; a prefix that is not configured is an error even there."""
    assert Route("") == TABLE.route(RepositoryRequest(""))
    assert Route("") == TABLE.route(RepositoryRequest("", prefix="ghcr.io"))
    assert isinstance(TABLE.route(RepositoryRequest("", prefix="quay.io")).error, NameUnknown)
