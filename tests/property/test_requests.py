"""Laws of what clients and servers send: request lines, challenges and ranges of any content."""

import email
import re
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from registry.api.multipart import content_range, describe_parts
from registry.api.paths import Endpoint, RequestReader
from registry.errors import InvalidInput, NameUnknown, RangeUnsatisfiable, UpstreamFaulty
from registry.mirror.routing import UpstreamTable
from registry.oci.byte_ranges import Span, parse_range
from registry.oci.names import Repository, Tag, parse_name
from registry.oci.registries import Registries
from registry.upstream.client import target_of
from registry.upstream.redirects import follow
from registry.upstream.www_authenticate import parse_challenges

ALIASES = {"docker.io": ["index.docker.io"], "ghcr.io": [], "lan:5000": []}
UPSTREAMS = {name: upstream for upstream in ALIASES for name in (upstream, *ALIASES[upstream])}
READER = RequestReader(UpstreamTable(Registries.of("docker.io", ALIASES)))
REGISTRIES = ["docker.io", "ghcr.io", "lan:5000", "index.docker.io"]

word = st.sampled_from(
    [
        *(*REGISTRIES, "quay.io", "v2", "manifests", "blobs", "tags", "list", "referrers"),
        *("_catalog", "a", "b1", "UP", "..", ".", "", "%2e%2e", "%2f", "%00", "%", "sha256:0"),
        *("latest", "ä", "\\"),
    ]
)
path = st.lists(word, max_size=9).map(lambda words: "/" + "/".join(words)) | st.text(max_size=60)
segment = st.from_regex(r"[a-z0-9]{1,5}([._-][a-z0-9]{1,3})?", fullmatch=True)
special = st.sampled_from(["manifests", "tags", "blobs", "docker.io", "ghcr.io"])
name = st.lists(segment | special, min_size=1, max_size=4)
registry = st.sampled_from(REGISTRIES)


@given(
    path, st.sampled_from([*REGISTRIES, "quay.io", "http://x/"]) | st.text(max_size=9), st.text()
)
def test_any_request_line_is_answered(raw: str, ns: str, host: str) -> None:
    """Any request line leads to an error of ours, or to a repository of a configured upstream."""
    wanted = READER.read(raw, ns, host)

    assert wanted.namespace in ("", ns)
    if wanted.error is not None:
        assert isinstance(wanted.error, InvalidInput | NameUnknown)
    elif wanted.endpoint not in (None, Endpoint.PING, Endpoint.CATALOG, Endpoint.UPLOAD):
        assert wanted.repository is not None
        assert wanted.repository.registry in ALIASES
        assert wanted.repository.name == parse_name(wanted.repository.name)
        assert (wanted.reference is None) is (wanted.endpoint is Endpoint.TAGS)


@given(name, registry, st.sampled_from("BCDE"), st.booleans())
def test_any_repository_is_reached(
    segments: list[str], named: str, shape: str, is_escaped: bool
) -> None:
    """Every way to name a registry leads to the repository, whether the URL is escaped or not."""
    wanted = "/".join(segments)
    upstream = UPSTREAMS[named]
    is_official = upstream == "docker.io" and len(segments) == 1
    expected = Repository(upstream, f"library/{wanted}" if is_official else wanted)
    before = f"/{named}/v2" if shape == "C" else "/v2"
    inside = f"{named}/{wanted}" if shape in "DE" else wanted
    # A name that repeats the registry of `ns` is read as a rewritten location.
    if shape == "B" and len(segments) > 1 and UPSTREAMS.get(segments[0]) == upstream:
        return
    raw = f"{before}/{inside}/manifests/latest"

    wanted = READER.read(
        quote(raw, safe="/") if is_escaped else raw, named if shape in "BD" else "", "mirror.lan"
    )

    assert wanted.error is None
    assert (wanted.endpoint, wanted.reference) == (Endpoint.MANIFEST, Tag("latest"))
    assert expected == wanted.repository


token = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
text = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)
challenge = st.tuples(token, st.dictionaries(token, text, min_size=1, max_size=4))


def write_challenge(one: tuple[str, dict[str, str]], comma: str) -> str:
    scheme, parameters = one
    quoted = {key: re.sub(r'(["\\])', r"\\\1", value) for key, value in parameters.items()}
    return f"{scheme} " + comma.join(f'{key}="{value}"' for key, value in quoted.items())


@given(st.lists(challenge, max_size=4), st.sampled_from([",", ", ", " ,\t"]), st.booleans())
def test_challenges_are_read_as_written(
    offered: list[tuple[str, dict[str, str]]], comma: str, is_joined: bool
) -> None:
    """Challenges come out as they went in, from one header or from several."""
    written = [write_challenge(one, comma) for one in offered]

    found = parse_challenges([comma.join(written)] if is_joined else written)

    assert offered == [(each.scheme, dict(each.parameters)) for each in found]


@given(st.lists(st.text(max_size=80) | st.text('Bearer realm=",\\ \t', max_size=80), max_size=3))
def test_any_challenge_is_read(headers: list[str]) -> None:
    """Any `WWW-Authenticate` header is read; what is not a challenge is left out."""
    for found in parse_challenges(headers):
        assert found.scheme == found.scheme.lower() != ""


@given(st.text(max_size=60) | st.text("htps:/@[]?#.%\\ 01a", max_size=60))
def test_any_location_is_read(location: str) -> None:
    """Any `Location` header leads to https URLs, or is an error of the upstream."""
    try:
        urls = follow("https://registry.example/v2/a/blobs/b", location).urls
    except UpstreamFaulty:
        return
    assert urls
    for url in urls:
        assert url.lower().startswith("https://")
        assert target_of(url).startswith(b"/")


small = st.integers(0, 40)
asked = st.lists(st.tuples(small | st.none(), small | st.none()), min_size=1, max_size=5)


@given(st.binary(max_size=40), asked)
def test_ranges_come_as_the_model_says(
    content: bytes, wanted: list[tuple[int | None, int | None]]
) -> None:
    """The parts of an answer, read by the parser of `email`, are the bytes that were asked for."""
    numbers = [["" if end is None else str(end) for end in pair] for pair in wanted]
    header = "bytes=" + ",".join("-".join(pair) for pair in numbers)
    expected = [model(content, *pair) for pair in wanted]

    try:
        spans = parse_range(header, len(content))
    except RangeUnsatisfiable:
        assert content
        assert not any(expected)
        assert (None, None) not in wanted
        return

    if None in expected or not content:
        assert spans == (), "a malformed range, and one of no bytes, ask for the whole"
        return
    assert [part for part in expected if part] == read_parts(content, spans)


def model(content: bytes, first: int | None, last: int | None) -> bytes | None:
    """The bytes that one range asks for by RFC 9110; None where the range is invalid."""
    places = range(len(content))
    if first is None:
        return (
            None
            if last is None
            else bytes(content[at] for at in places if at >= len(content) - last)
        )
    if last is not None and last < first:
        return None
    return bytes(content[at] for at in places if at >= first and (last is None or at <= last))


def read_parts(content: bytes, spans: tuple[Span, ...]) -> list[bytes]:
    """Lay out an answer as the API does, and read its parts."""
    multipart = describe_parts(spans, len(content))
    body = b"".join(head + content[span.start : span.stop] for head, span in multipart.parts)
    assert multipart.length == len(body + multipart.end)
    top = f"Content-Type: {multipart.content_type}\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    message = email.message_from_bytes(top.encode() + body + multipart.end)
    parts = message.get_payload()
    assert isinstance(parts, list)
    assert [content_range(span, len(content)) for span in spans] == [
        part["Content-Range"] for part in parts
    ]
    return [part.get_payload(decode=True) for part in parts]
