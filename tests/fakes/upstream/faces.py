"""The faces of the fake upstream: the registries of the world, by name, as sets of switches.

    put_on(hub, "nexus")
    mirror = make_mirror(upstreams={"docker.io": {"endpoints": [hub.endpoint]}})

Each comment says what the real registry does. What a face does not change is as at Docker Hub:
tokens, redirected blobs, ranges, lists of referrers.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tests.fakes.upstream.conduct import Conduct
from tests.harness.planted import UPSTREAM_PASSWORD

ROBOT = ("robot", UPSTREAM_PASSWORD)

FACES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "nexus": {
            # A repository without a port of its own is below a path.
            "base_path": "/repository/docker-proxy",
            "redirect_blobs": False,
            # Its challenges name no scope.
            "names_scope": False,
            # The HEAD of a manifest is 404, although the GET is answered.
            "head_status": 404,
            # The next page has the host and the path behind the proxy (nexus-public 1011).
            "link_style": "inside",
            "page_limit": 100,
            "referrers_supported": False,
        },
        "artifactory": {
            "base_path": "/artifactory/api/docker/docker-remote",
            "redirect_blobs": False,
            # `last` is the number of the tags before the page, and not a tag (renovate 15080).
            "link_style": "cursor",
            "page_limit": 100,
            # Older versions answer unknown paths with 405.
            "referrers_status": 405,
        },
        "harbor_project": {
            # A proxy cache is a project, and scopes have its name.
            "project": "dockerhub-proxy/",
            "redirect_blobs": False,
            # A blob that it has not cached is 404 by HEAD, and downloaded by GET (harbor 22609).
            "head_blob_status": 404,
            "link_style": "relative",
            "page_limit": 50,
        },
        "gitlab": {
            # The dependency proxy of a group; its challenges name no scope.
            "project": "acme/dependency_proxy/containers/",
            "names_scope": False,
            # The tag `sha256-<hex>` is the manifest of this digest (oras-go 1396).
            "takes_tags_for_digests": True,
            "referrers_supported": False,
            "page_limit": 100,
        },
        "ecr": {
            # A rule of its pull-through cache is a prefix.
            "project": "docker-hub/",
            # A password, and no token service.
            "auth": "basic",
            "require_user": ROBOT,
            # More than 1,000 entries are refused; the next page is named by a token.
            "most_tags_asked": 1000,
            "link_style": "token",
            "page_limit": 100,
            # ECR Public refuses the HEAD of a blob.
            "head_blob_status": 403,
        },
        "gar": {
            # A remote repository is below a project of the cloud.
            "project": "acme-project/dockerhub/",
            # registry.k8s.io, in front of it, redirects referrers to a login page (oras-go 633).
            "referrers_login": True,
            "page_limit": 1000,
        },
        "acr": {
            # Lists have 1,000 entries at most, whatever `n` says (acr 749).
            "page_limit": 1000,
            "link_style": "relative",
            # Without anonymous pulls, the token service refuses clients without a login.
            "require_user": ROBOT,
        },
        "quay": {
            # An unknown repository is a 401, as at Docker Hub.
            "hub_style_unknown": True,
            # The next page is named by a token.
            "link_style": "token",
            "page_limit": 50,
        },
        "minio_redirect": {
            # Blobs are in MinIO, which keeps how they were uploaded (noobaa-core 9138).
            "content_encoding": "aws-chunked",
            # The registry is behind a proxy that ends TLS, and does not know it.
            "link_style": "http",
            "page_limit": 100,
            "referrers_supported": False,
        },
    }
)


def put_on(conduct: Conduct, face: str) -> None:
    """Let a fake upstream play the registry of this name."""
    for switch, value in FACES[face].items():
        if not hasattr(conduct, switch):
            raise AttributeError(f"the face {face} sets {switch}, which is not a switch")
        setattr(conduct, switch, value)


def take_off(conduct: Conduct) -> None:
    """Let a fake upstream be like Docker Hub again."""
    for switch, value in vars(Conduct()).items():
        setattr(conduct, switch, value)
