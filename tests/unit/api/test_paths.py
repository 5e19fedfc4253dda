"""Laws of reading a request line."""

import pytest

from registry.api.paths import MAX_PATH, PathKind, RequestPath, is_upload, parse_path
from registry.errors import NameInvalid
from registry.mirror.routing import RepositoryRequest


def parse(path: str) -> tuple[str, str, str, str] | None:
    target = parse_path(path, "", "")
    if target is None:
        return None
    request = target.repository
    return (target.kind.name, request.prefix, request.name, target.reference)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/", ("BASE", "", "", "")),
        ("/v2", ("BASE", "", "", "")),
        ("/docker.io/v2/", ("BASE", "docker.io", "", "")),
        ("/docker.io/v2", ("BASE", "docker.io", "", "")),
        ("/v2/_catalog", ("CATALOG", "", "_catalog", "")),
        ("/v2/a/manifests/latest", ("MANIFEST", "", "a", "latest")),
        ("/v2/a/b/c/manifests/1.0", ("MANIFEST", "", "a/b/c", "1.0")),
        ("/v2/a/blobs/sha256:00", ("BLOB", "", "a", "sha256:00")),
        ("/v2/a/blobs/sha256%3A00", ("BLOB", "", "a", "sha256:00")),
        ("/v2/a/referrers/sha256:00", ("REFERRERS", "", "a", "sha256:00")),
        ("/v2/a/tags/list", ("TAGS", "", "a", "")),
        ("/ghcr.io/v2/a/b/tags/list", ("TAGS", "ghcr.io", "a/b", "")),
        ("/registry.lan:5000/v2/a/manifests/x", ("MANIFEST", "registry.lan:5000", "a", "x")),
        ("/a/b/v2/c/manifests/x", ("MANIFEST", "a/b", "c", "x")),
    ],
)
def test_endpoints(path: str, expected: tuple[str, ...]) -> None:
    """Every endpoint is recognised, with a prefix and without."""
    assert expected == parse(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/blobs/manifests/x", ("MANIFEST", "", "blobs", "x")),
        ("/v2/a/manifests/blobs/sha256:0", ("BLOB", "", "a/manifests", "sha256:0")),
        ("/v2/a/tags/list/manifests/x", ("MANIFEST", "", "a/tags/list", "x")),
        ("/v2/a/tags/list/tags/list", ("TAGS", "", "a/tags/list", "")),
        ("/v2/manifests/manifests/manifests", ("MANIFEST", "", "manifests", "manifests")),
        ("/v2/a/v2/manifests/x", ("MANIFEST", "", "a/v2", "x")),
        ("/v2/v2/manifests/x", ("MANIFEST", "", "v2", "x")),
        ("/p/v2/a/v2/b/manifests/x", ("MANIFEST", "p", "a/v2/b", "x")),
        ("/v2/a/manifests/list", ("MANIFEST", "", "a", "list")),
    ],
)
def test_names_may_hold_any_word(path: str, expected: tuple[str, ...]) -> None:
    """A repository may be called by the words of the API: the path is read from its right."""
    assert expected == parse(path)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "", "/v1/", "/v2x/", "/v2/a", "/v2/manifests/x", "/v2/tags/list", "/v2/a/tags"),
        *("/v2/a/tags/list/", "/v2/a/manifests/", "/v2/a/manifests/x/y", "/V2/", "/index.html"),
        *("/v2/a/tags/lists", "/v2/a/MANIFESTS/x", "/favicon.ico", "/v2/_catalog/x"),
    ],
)
def test_other_paths_are_no_endpoints(path: str) -> None:
    """What is no endpoint of the pull API is said to be none."""
    assert parse(path) is None


@pytest.mark.parametrize(
    "trick",
    [
        *("..", "%2e%2e", "%2E.", "a%2fb", "a%2Fb", "a%5cb", "a\\b", "%00", "%0a", "%7f", "%25"),
        *("%2500", "%252f", "%ff", "%c3%28", "%e2%80%a8", "x%", "%zz", "", "%0D%0AX:y"),
    ],
)
@pytest.mark.parametrize(
    "shape", ["/v2/{}/manifests/x", "/v2/a/{}/manifests/x", "/{}/v2/a/blobs/x"]
)
def test_tricks_are_refused(trick: str, shape: str) -> None:
    """What could be read in two ways is refused before anybody looks it up."""
    with pytest.raises(NameInvalid):
        parse(shape.format(trick))


@pytest.mark.parametrize("trick", ["..", "%2e%2e", "a%2fb", "%00", "%5c", "%25"])
def test_tricks_in_references_are_refused(trick: str) -> None:
    """A reference is no place for tricks either."""
    with pytest.raises(NameInvalid):
        parse(f"/v2/a/manifests/{trick}")


def test_long_paths_are_refused() -> None:
    """The longest path that is read is far longer than any that is legal."""
    path = "/v2/a/manifests/".ljust(MAX_PATH, "x")

    assert parse(path) is not None
    with pytest.raises(NameInvalid):
        parse(path + "x")


@pytest.mark.parametrize("host", ["mirror.lan", "mirror.lan:5000"])
def test_namespace_and_host_are_kept(host: str) -> None:
    """What `ns` and Host say goes along, the port aside."""
    expected = RepositoryRequest("a", "", "ghcr.io", "mirror.lan")
    assert RequestPath(PathKind.MANIFEST, expected, "x") == parse_path(
        "/v2/a/manifests/x", "ghcr.io", host
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/a/blobs/uploads/", True),
        ("/v2/a/blobs/uploads", True),
        ("/v2/a/blobs/uploads/123", True),
        ("/p/v2/a/blobs/uploads/", True),
        ("/v2/blobs/uploads/manifests/x", False),
        ("/v2/a/blobs/sha256:00", False),
    ],
)
def test_uploads_are_recognised(path: str, expected: bool) -> None:
    """An address for pushing is one, whatever the method."""
    assert expected is is_upload(path)
