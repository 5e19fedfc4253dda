"""Laws of reading a request line."""

import pytest

from registry.api.paths import (
    MAX_PATH,
    MAX_REMEMBERED,
    Endpoint,
    PullRequest,
    RequestReader,
    parse_path,
    split_target,
)
from registry.errors import DigestInvalid, NameInvalid, NameUnknown, TagInvalid
from registry.mirror.routing import UpstreamTable
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from registry.oci.registries import Registries

TABLE = UpstreamTable(Registries.of("docker.io", {"docker.io": [], "ghcr.io": []}))


def parse(path: str) -> tuple[str, str, str, str] | None:
    found = parse_path(path)
    if found is None:
        return None
    return (found.endpoint.name, found.prefix, found.name, found.reference)


def read(path: str, ns: str = "", host: str = "") -> PullRequest:
    return RequestReader(TABLE).read(path, ns, host)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/", ("PING", "", "", "")),
        ("/v2", ("PING", "", "", "")),
        ("/docker.io/v2/", ("PING", "docker.io", "", "")),
        ("/docker.io/v2", ("PING", "docker.io", "", "")),
        ("/v2/_catalog", ("CATALOG", "", "", "")),
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
    """Every endpoint of the API is found, with a prefix and without."""
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
    """A repository name may contain the words of the API: the path is read from the right."""
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
    """Other paths are not endpoints."""
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
    """A path that could be read in two ways is refused."""
    with pytest.raises(NameInvalid):
        parse(shape.format(trick))


@pytest.mark.parametrize("trick", ["..", "%2e%2e", "a%2fb", "%00", "%5c", "%25"])
def test_tricks_in_references_are_refused(trick: str) -> None:
    """A reference that could be read in two ways is refused."""
    with pytest.raises(NameInvalid):
        parse(f"/v2/a/manifests/{trick}")


def test_long_paths_are_refused() -> None:
    """A path of the greatest length is read, and a longer one is refused."""
    path = "/v2/a/manifests/".ljust(MAX_PATH, "x")

    assert parse(path) is not None
    with pytest.raises(NameInvalid):
        parse(path + "x")


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
    """The paths for pushing a blob are an endpoint of their own."""
    found = parse_path(path)
    assert expected is (found is not None and found.endpoint is Endpoint.UPLOAD)


def test_a_request_is_read_into_its_repository() -> None:
    """One reading gives the endpoint, the repository, and the tag or digest."""
    digest = Digest.of(b"content")
    assert read("/v2/a/manifests/x", "ghcr.io") == PullRequest(
        Endpoint.MANIFEST,
        "ghcr.io",
        Repository("ghcr.io", "a"),
        Tag("x"),
        name="a",
        shown_repository="ghcr.io/a",
        shown_reference="x",
    )
    assert read(f"/v2/a/blobs/{digest}", host="ghcr.io.mirror.lan:5000") == PullRequest(
        Endpoint.BLOB,
        "",
        Repository("ghcr.io", "a"),
        digest,
        name="a",
        shown_repository="ghcr.io/a",
        shown_reference=digest,
    )
    assert read("/v2/a/tags/list") == PullRequest(
        Endpoint.TAGS,
        "",
        Repository("docker.io", "library/a"),
        name="a",
        shown_repository="docker.io/library/a",
    )


@pytest.mark.parametrize(
    ("path", "endpoint", "error"),
    [
        ("/v2/../manifests/x", None, NameInvalid),
        ("/v2/UPPER/manifests/x", Endpoint.MANIFEST, NameInvalid),
        ("/quay.io/v2/", Endpoint.PING, NameUnknown),
        ("/quay.io/v2/_catalog", Endpoint.CATALOG, NameUnknown),
        ("/v2/quay.io/a/tags/list", Endpoint.TAGS, NameUnknown),
        ("/v2/a/manifests/-x", Endpoint.MANIFEST, TagInvalid),
        ("/v2/a/manifests/sha256:00", Endpoint.MANIFEST, DigestInvalid),
        ("/v2/a/blobs/x", Endpoint.BLOB, DigestInvalid),
        ("/v2/UPPER/blobs/x", Endpoint.BLOB, NameInvalid),
        ("/v2/", Endpoint.PING, None),
        ("/other", None, None),
    ],
)
def test_a_request_is_read_into_its_error(
    path: str, endpoint: Endpoint | None, error: type[Exception] | None
) -> None:
    """The error of a path, a registry, a name or a reference comes with the endpoint and `ns`."""
    reader = RequestReader(TABLE)
    for _ in range(2):
        found = reader.read(path, "ghcr.io" if error is not NameUnknown else "", "")
        assert endpoint is found.endpoint
        assert (error or type(None)) is type(found.error)
        assert found.namespace == ("ghcr.io" if error is not NameUnknown else "")


def test_an_unknown_namespace_is_not_repeated() -> None:
    """`namespace` has only names of configured upstreams; a ping works with any `ns`."""
    assert read("/v2/", "quay.io") == PullRequest(Endpoint.PING, "")


def test_large_requests_are_read_but_not_remembered() -> None:
    """A reader keeps no more than `MAX_REMEMBERED` characters of a request."""
    reader = RequestReader(TABLE)
    small, large = ("/v2/a/tags/list", "", "h"), ("/v2/a/tags/list", "", "h" * MAX_REMEMBERED)
    assert reader.read(*small) is reader.read(*small)
    assert reader.read(*large) is not reader.read(*large)
    assert reader.read(*large) == reader.read(*small)
    long_name = ("/v2/a/tags/list", "n" * 8000, "h")
    assert reader.read(*long_name) is not reader.read(*long_name)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v2/", ("/v2/", "", "mirror")),
        ("/v2/a/tags/list?n=1&last=b?c", ("/v2/a/tags/list", "n=1&last=b?c", "mirror")),
        ("http://ghcr.io.lan/v2/", ("/v2/", "", "ghcr.io.lan")),
        ("http://ghcr.io.lan:5000/v2/?ns=x", ("/v2/", "ns=x", "ghcr.io.lan:5000")),
        ("HTTPS://[::1]:5000/v2/", ("/v2/", "", "[::1]:5000")),
        ("http://ann:se@cret@lan/v2/", ("/v2/", "", "lan")),
        ("http://lan", ("/", "", "lan")),
        ("http://lan?ns=x", ("/", "ns=x", "lan")),
        ("/http://lan/v2/", ("/http://lan/v2/", "", "mirror")),
        ("//lan/v2/", ("//lan/v2/", "", "mirror")),
        ("ftp://lan/v2/", ("ftp://lan/v2/", "", "mirror")),
        ("lan:443", ("lan:443", "", "mirror")),
        ("*", ("*", "", "mirror")),
    ],
)
def test_targets_are_paths_or_urls(target: str, expected: tuple[str, str, str]) -> None:
    """A URL names the host itself, so the Host header does not count (RFC 9112 section 3.2.2)."""
    assert expected == split_target(target, "mirror")
