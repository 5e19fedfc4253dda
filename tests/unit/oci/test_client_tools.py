"""Laws of what a request says of its client: a tool and a form of URL, of few."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.oci.client_tools import (
    BY_DEFAULT,
    BY_HOST,
    BY_NS,
    BY_PATH,
    BY_PREFIX,
    SHAPES,
    TOOLS,
    find_shape,
    parse_tool,
)


@pytest.mark.parametrize(
    ("expected", "agent"),
    [
        (
            "docker",
            (
                r"docker/26.1.5+dfsg1 go/go1.24.4 git-commit/411e817 os/linux arch/amd64"
                r" UpstreamClient(Docker-Client/26.1.5 \(linux\))"
            ),
        ),
        ("containerd", "containerd/1.7.24~ds1"),
        ("containerd", "containerd/v2.0.0"),
        ("podman", "containers/5.16.0 (github.com/containers/image)"),
        ("podman", "libpod/5.4.2"),
        ("buildah", "Buildah/1.39.3"),
        ("skopeo", "skopeo/1.18.0"),
        ("buildkit", "buildkit/v0.12"),
        ("cri-o", "cri-o/1.34.0 go/go1.24 os/linux arch/amd64"),
        ("crane", "crane/v0.20.2 go-containerregistry/v0.20.2"),
        ("cosign", "cosign/v2.5.0 (linux; amd64) go-containerregistry/v0.20.3"),
        ("entrepot", "entrepot/0.1.0"),
        ("browser", "Mozilla/5.0 (X11; Linux x86_64)"),
        ("other", "Go-http-client/1.1"),
        ("other", ""),
        ("other", "/docker"),
        ("other", "dockerd" * 1000),
    ],
)
def test_a_tool_is_known_by_its_first_product(expected: str, agent: str) -> None:
    """What stands behind it belongs to the libraries and the machine."""
    assert expected == parse_tool(agent)


@given(st.text())
def test_clients_cannot_invent_tools(agent: str) -> None:
    """Whatever somebody writes, the result is one of a few words."""
    assert parse_tool(agent) in TOOLS


@pytest.mark.parametrize(
    ("expected", "path", "namespace", "host", "repository"),
    [
        (BY_DEFAULT, "/v2/library/nginx/manifests/1", "", "", "docker.io/library/nginx"),
        (BY_DEFAULT, "/v2/nginx/manifests/1", "", "mirror.lan", "docker.io/library/nginx"),
        (BY_NS, "/v2/team/app/manifests/1", "quay.io", "", "quay.io/team/app"),
        (BY_NS, "/v2/quay.io/team/app/manifests/1", "quay.io", "", "quay.io/team/app"),
        (BY_PREFIX, "/docker.io/v2/nginx/manifests/1", "", "", "docker.io/library/nginx"),
        (BY_PATH, "/v2/ghcr.io/team/app/manifests/1", "", "mirror.lan", "ghcr.io/team/app"),
        (BY_PATH, "/v2/docker.io/nginx/manifests/1", "", "", "docker.io/library/nginx"),
        (BY_HOST, "/v2/team/app/manifests/1", "", "ghcr.io.mirror.lan", "ghcr.io/team/app"),
    ],
)
def test_how_a_request_names_its_registry(
    expected: str, path: str, namespace: str, host: str, repository: str
) -> None:
    """The forms are those of `mirror/routing.py`."""
    assert expected == find_shape(path, namespace, host, repository)


@given(st.text(), st.text(), st.text(), st.text())
def test_clients_cannot_invent_forms(path: str, namespace: str, host: str, name: str) -> None:
    """Whatever is in a request, the form is one of five."""
    assert find_shape(path, namespace, host, name) in SHAPES
