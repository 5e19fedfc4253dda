"""Laws of headers, conditions, multipart layouts and error answers."""

import json

import pytest

from registry import errors
from registry.api.errors import find_status, render, render_no_endpoint, render_read_only
from registry.api.headers import (
    MAX_WARNING,
    add_common_headers,
    content_headers,
    names_digest,
    warning_headers,
)
from registry.api.multipart import content_range, describe_parts
from registry.mirror.cache_status import CacheStatus
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest

DIGEST = Digest.of(b"content")


def test_content_headers() -> None:
    """The headers have the digest, twice, the media type, and where the content came from."""
    headers = content_headers(DIGEST, "a/b", CacheStatus.STALE)

    assert headers["Content-Type"] == "a/b"
    assert str(DIGEST) == headers["Docker-Content-Digest"]
    assert f'"{DIGEST}"' == headers["ETag"]
    assert headers["X-Entrepot-Origin"] == "stale"


@pytest.mark.parametrize(("namespace", "expected"), [("ghcr.io", "ghcr.io"), ("", None)])
def test_common_headers(namespace: str, expected: str | None) -> None:
    """Every answer has the API's version; it has `OCI-Namespace` only where `ns` is known."""
    headers: dict[str, str] = {}
    add_common_headers(headers, namespace)

    assert headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert expected == headers.get("OCI-Namespace")


def test_no_warning_no_header() -> None:
    """An empty warning makes no header."""
    assert warning_headers("") == {}


@pytest.mark.parametrize(
    ("warning", "value"),
    [
        ("stale: down", '299 - "stale: down"'),
        ('say "no"', r'299 - "say \"no\""'),
        ("back\\slash", r'299 - "back\\slash"'),
        ("two\r\nX-Evil: lines", '299 - "two??X-Evil: lines"'),
        ("schön\x7f", '299 - "sch?n?"'),
    ],
)
def test_warning_is_quoted(warning: str, value: str) -> None:
    """A warning is one quoted string of plain characters: it cannot end the header."""
    assert {"Warning": value} == warning_headers(warning)


def test_warning_is_bounded() -> None:
    """A long warning is cut."""
    value = warning_headers("x" * 10_000)["Warning"]
    assert f'299 - "{"x" * MAX_WARNING}"' == value


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], False),
        ([f'"{DIGEST}"'], True),
        ([f'W/"{DIGEST}"'], True),
        ([str(DIGEST)], True),
        (["*"], True),
        ([f'"other", "{DIGEST}"'], True),
        (['"other"', f'"{DIGEST}"'], True),
        (['"other"'], False),
        ([f'"{DIGEST}0"'], False),
        ([""], False),
    ],
)
def test_conditions_name_a_digest(headers: list[str], expected: bool) -> None:
    """A condition names the digest if one of its tags does, with quotes or without."""
    assert expected is names_digest(headers, DIGEST)


def test_content_range() -> None:
    """A `Content-Range` names the last byte of the span, not the byte after it."""
    assert content_range(Span(0, 1), 1) == "bytes 0-0/1"
    assert content_range(Span(5, 10), 20) == "bytes 5-9/20"


@pytest.mark.parametrize("spans", [[Span(0, 1), Span(5, 9)], [Span(0, 10)] * 3])
def test_multipart_length_is_exact(spans: list[Span]) -> None:
    """The announced length is the length of the body."""
    content = bytes(range(10))
    parts = describe_parts(spans, 10)
    body = b"".join(head + content[span.start : span.stop] for head, span in parts.parts)
    assert parts.length == len(body + parts.end)


def test_boundaries_differ() -> None:
    """Boundaries are random, so nobody can make content that contains one."""
    spans = [Span(0, 1), Span(2, 3)]
    assert describe_parts(spans, 9).content_type != describe_parts(spans, 9).content_type


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.NameInvalid("X"), 400, "NAME_INVALID"),
        (errors.DigestInvalid("X"), 400, "DIGEST_INVALID"),
        (errors.TagInvalid("-"), 400, "TAG_INVALID"),
        (errors.PaginationInvalid("x"), 400, "PAGINATION_NUMBER_INVALID"),
        (errors.NameUnknown("x"), 404, "NAME_UNKNOWN"),
        (errors.ManifestUnknown("r", "t"), 404, "MANIFEST_UNKNOWN"),
        (errors.BlobUnknown("r", "d"), 404, "BLOB_UNKNOWN"),
        (errors.UpstreamUnreachable("o", "w"), 503, "UNAVAILABLE"),
        (errors.UpstreamThrottled("o", "w"), 503, "UNAVAILABLE"),
        (errors.UpstreamFaulty("o", "w"), 502, "UNAVAILABLE"),
        (errors.UpstreamLoop("o"), 508, "UNAVAILABLE"),
    ],
)
def test_errors_are_answered(error: errors.EntrepotError, status: int, code: str) -> None:
    """An error is answered in the specification's JSON, with its public sentence as the message."""
    response = render(error)

    assert status == response.status
    assert response.content_type == "application/json"
    entry = {"code": code, "message": error.public, "detail": None}
    assert {"errors": [entry]} == json.loads(bytes(response.body or b""))


SECRETS = ("secret.example", "robot-user", "other.example")


@pytest.mark.parametrize(
    "error",
    [
        errors.UpstreamUnreachable("https://secret.example:5443", "refuses the user 'robot-user'"),
        errors.UpstreamFaulty("https://secret.example", "redirects to http://other.example"),
        errors.UpstreamLoop("https://secret.example"),
        errors.ManifestUnknown(
            "r",
            "t",
            errors.UpstreamDenied("https://secret.example", "refuses the user 'robot-user'"),
        ),
        errors.NameUnknown("quay.io", ["docker.io", "other.example"]),
    ],
)
def test_clients_see_no_address_and_no_user(error: errors.EntrepotError) -> None:
    """The addresses of endpoints, and who else is mirrored, are for the log."""
    body = bytes(render(error, "docker.io").body or b"").decode()
    assert not [each for each in SECRETS if each in body], body
    assert isinstance(error, errors.Unknown) or "docker.io: the upstream" in body


def test_error_of_the_disk_names_no_path_of_the_server() -> None:
    """The path, and why the disk refused, are for the log."""
    response = render(errors.StoreTooNew("/srv/data", 9, 1))

    assert response.status == 500
    assert b"/srv/data" not in bytes(response.body or b"")


def test_new_error_is_answered_like_its_parent() -> None:
    """An error without a row is answered like the nearest error above it in the tree."""

    class SpecificError(errors.ManifestUnknown):
        pass

    class NewInput(errors.InvalidInput):
        pass

    assert find_status(SpecificError("r", "t")) == (404, "MANIFEST_UNKNOWN")
    assert find_status(NewInput("new"))[0] == 400


def test_range_error_has_the_size() -> None:
    """The answer to a range outside of the content has the size of the content."""
    response = render(errors.RangeUnsatisfiable(10))
    assert (response.status, response.headers["Content-Range"]) == (416, "bytes */10")


@pytest.mark.parametrize(
    ("retry_after", "header"), [(None, "5"), (0.2, "1"), (7.1, "8"), (60.0, "60")]
)
def test_retry_after_has_whole_seconds(retry_after: float | None, header: str) -> None:
    """`Retry-After` is a whole number of seconds, and at least 1."""
    response = render(errors.UpstreamThrottled("o", "w", retry_after))
    assert header == response.headers["Retry-After"]


@pytest.mark.parametrize("error", [errors.BlobUnknown("r", "d"), errors.UpstreamFaulty("o", "w")])
def test_other_errors_have_no_retry(error: errors.EntrepotError) -> None:
    """An error that does not go away by itself has no `Retry-After`."""
    assert "Retry-After" not in render(error).headers


def test_refusals() -> None:
    """A push gets 405 with the methods that are allowed; a path outside of the API gets 404."""
    assert (render_read_only().status, render_read_only().headers["Allow"]) == (405, "GET, HEAD")
    assert render_no_endpoint().status == 404
