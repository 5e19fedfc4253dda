"""What of a request is read by our own code: its target, `ns`, Host, `Range` and conditions."""

from registry.api.headers import names_digest
from registry.api.paths import Endpoint, RequestReader, split_target
from registry.console.hosts import is_own_name
from registry.errors import InvalidInput, NameUnknown, RangeUnsatisfiable
from registry.mirror.routing import UpstreamTable
from registry.oci.byte_ranges import MAX_SPANS, parse_range
from registry.oci.digest import Digest
from registry.oci.pagination import cut_page, parse_count
from registry.oci.registries import Registries

ALIASES = {"docker.io": ["index.docker.io", "localhost"], "ghcr.io": [], "lan:5000": []}
DIGEST = Digest.of(b"x")
READER = RequestReader(UpstreamTable(Registries.of("docker.io", ALIASES)))
WITHOUT_REPOSITORY = (
    None,
    Endpoint.PING,
    Endpoint.CATALOG,
    Endpoint.TOKEN,
    Endpoint.UPLOAD,
)
SEEDS = [
    b"/v2/library/nginx/manifests/1\nmirror.lan\n\nbytes=0-1,5-\nlatest",
    b"/v2/docker.io/a/b/blobs/" + DIGEST.encode() + b'\nghcr.io.lan:5000\nlan:5000\nbytes=-3\n"x"',
    b"http://u:p@docker.io.lan/ghcr.io/v2/a/tags/list?n=2\n[::1]:80\ndocker.io\nbytes=9-1\n*",
    b"/v2/%2e%2e/referrers/sha256:0\nhttp://x\n\x9b\nbytes=1-2-3\nW/",
]


def read_request(raw: bytes) -> None:
    """Read five lines: the target, the Host header, `ns`, `Range`, and any other value."""
    lines = [*raw.decode("latin-1").split("\n", 4), "", "", "", "", ""]
    target, header, namespace, ranges, other = lines[:5]
    path, _, host = split_target(target, header)
    wanted = READER.read(path, namespace, host)
    assert wanted.namespace in ("", namespace)
    if wanted.error is not None:
        assert isinstance(wanted.error, InvalidInput | NameUnknown)
    elif wanted.endpoint not in WITHOUT_REPOSITORY:
        assert wanted.repository is not None
        assert wanted.repository.registry in ALIASES
        # Without a prefix, a configured `ns` alone says which registry is asked.
        if wanted.namespace and not path.partition("/v2/")[0]:
            assert wanted.repository.registry == _find(wanted.namespace)
    for size in (0, 1, 10, 2**63):
        _read_ranges(ranges, size)
    names_digest([other], DIGEST)
    is_own_name(header, {"mirror.lan"})
    try:
        count = parse_count(other)
    except InvalidInput:
        return
    assert len(cut_page(["a", "b", "c"], count, namespace).entries) <= 3


def _read_ranges(header: str, size: int) -> None:
    try:
        spans = parse_range(header, size)
    except RangeUnsatisfiable:
        return
    assert len(spans) <= MAX_SPANS
    assert all(0 <= span.start < span.stop <= size for span in spans)


def _find(name: str) -> str:
    return next(upstream for upstream, others in ALIASES.items() if name in (upstream, *others))
