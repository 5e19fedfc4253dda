"""A request to a registry, its answer, and the error for an answer other than 2xx."""

import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import httpx

from registry.errors import (
    DigestInvalid,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamFaulty,
    UpstreamLoop,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.upstream.contract import Fallback
from registry.upstream.failures import (
    AttemptFailed,
    HeadRefused,
    RangeRefused,
    RedirectBroken,
    RequestRefused,
)
from registry.upstream.learned import Learned
from registry.upstream.rate_limit import read_retry_after
from registry.upstream.statuses import Meaning, Resource, read_status

GZIP_MAGIC = b"\x1f\x8b"
_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"})


_ERRORS: Mapping[Meaning, tuple[type[UpstreamError], str]] = MappingProxyType(
    {
        Meaning.THROTTLED: (UpstreamThrottled, "answers {status}: too many requests"),
        Meaning.UNREACHABLE: (UpstreamUnreachable, "answers {status}"),
        Meaning.FAILED: (AttemptFailed, "answers {status}"),
        Meaning.REDIRECT_BROKEN: (
            RedirectBroken,
            "refuses the URL to which the registry redirected ({status})",
        ),
        Meaning.NO_HEAD: (HeadRefused, "refuses HEAD ({status})"),
        Meaning.NO_RANGE: (RangeRefused, "refuses ranges ({status})"),
        Meaning.REFUSED: (
            RequestRefused,
            "answers {status}, which the specification does not allow here",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the pull API, before login and redirects.

    `path` is the part after `/v2/`, with the query, and `resource` says what it is the path of.
    `missing` makes the error for a 404. `counts` says whether the registry counts the request
    against its pull limit, as Docker Hub counts each GET of a manifest. `start_at` is a URL to
    which an earlier answer to the same path redirected; if it is None, the registry itself is
    asked. `fallback` is what the mirror serves if there is no answer: if it is an earlier answer,
    an open circuit breaker stops the request. Other requests probe the endpoint.
    """

    method: str
    path: str
    repository: str
    missing: Callable[[], Unknown]
    resource: Resource
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    counts: bool = False
    fallback: Fallback = Fallback.NONE
    start_at: str | None = field(default=None, repr=False)  # signed


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response whose body is not read yet, with the URL that sent it, after redirects.

    `origin` is the scheme, host and port of `url`: the part that logs and errors may show. `peer`
    is the address that sent it (empty: not known, because a proxy is between). `waited` is how many
    seconds after the request the head came, after redirects: those of all requests together.
    """

    response: httpx.Response
    url: str = field(repr=False)  # it may be signed
    origin: str
    peer: str = ""
    waited: float = 0.0


async def read_body(
    answer: Answer, limit: int, note: Callable[[int], Awaitable[None]] | None = None
) -> bytes:
    """Read a whole document of at most `limit` bytes; `note` gets the length of each piece.

    Raises:
        UpstreamFaulty: the document is longer, and the rest is not read; or it is damaged.
    """
    body = bytearray()
    async for chunk in answer.response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise UpstreamFaulty(answer.origin, f"sends more than {limit} bytes")
        if note is not None:
            await note(len(chunk))
    return decode_document(answer.origin, answer.response.headers, bytes(body), limit)


def decode_document(origin: str, headers: Mapping[str, str], body: bytes, limit: int) -> bytes:
    """Return a document of at most `limit` bytes without its compression by gzip.

    Some servers compress documents although they were asked not to, as most clients accept that.

    Raises:
        UpstreamFaulty: the document is longer, or damaged.
    """
    is_packed = "gzip" in headers.get("content-encoding", "").lower()
    if not is_packed or not body.startswith(GZIP_MAGIC):
        return body
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # 16: with the header of gzip
    try:
        document = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise UpstreamFaulty(origin, "sends damaged gzip") from error
    if len(document) > limit:
        raise UpstreamFaulty(origin, f"sends more than {limit} bytes")
    return document


def is_compressed(headers: Mapping[str, str]) -> bool:
    """Whether the bytes of a body are not those of the content, by its Content-Encoding.

    Content hosts also send values that are no coding, such as `aws-chunked` (how the object was
    uploaded) or an empty one: then the bytes are the content.
    """
    codings = headers.get("content-encoding", "").lower().split(",")
    return any(coding.strip() in _CODINGS for coding in codings)


def error_of(
    request: Request, answer: Answer, learned: Learned, *, is_redirected: bool, identity: str
) -> Unknown | UpstreamError:
    """Return the error for an answer with a status other than 2xx.

    `learned` is what earlier answers of the endpoint have shown. `is_redirected` says whether
    another host sent the answer, after a redirect. `identity` is the user name of the login.
    """
    status = answer.response.status_code
    retry_after = read_retry_after(answer.response.headers)
    meaning = read_status(
        status,
        request.resource,
        is_head=request.method == "HEAD",
        is_head_trusted=learned.is_head_trusted(request.resource, request.repository),
        # The URL of an earlier redirect may have expired: then the registry is asked for another.
        has_range="Range" in request.headers and request.start_at is None,
        is_range_trusted=learned.are_ranges_trusted(),
        is_redirected=is_redirected,
    )
    if meaning is Meaning.MISSING:
        missing = request.missing()
        missing.endpoint = answer.origin
        return missing
    if meaning is Meaning.LOOP:
        return UpstreamLoop(answer.origin)
    if meaning is Meaning.DENIED:
        return UpstreamDenied(answer.origin, describe_refusal(status, identity), retry_after)
    kind, why = _ERRORS[meaning]
    error = kind(answer.origin, why.format(status=status), retry_after)
    if isinstance(error, HeadRefused):
        error.is_missing = status == 404
    return error


def describe_refusal(status: int, identity: str) -> str:
    """Return the sentence for a 401 or 403 to the user `identity` (empty: no user name)."""
    whom = f"the user {identity!r}" if identity else "anonymous clients"
    why = f"refuses access to {whom} ({status}): private, or it does not exist"
    return f"{why}; check username and password_file" if identity else why


def check_content_type(answer: Answer) -> None:
    """Refuse a web page as the answer to a HEAD.

    A HEAD has no body to verify. So a 200 from a captive portal would be taken for the registry's
    answer, and its length for the size of the blob. It has no digest, so a counted GET would
    follow.

    Raises:
        UpstreamFaulty: the answer is a web page.
    """
    if media_types.strip_parameters(answer.response.headers.get("content-type", "")) == "text/html":
        raise UpstreamFaulty(answer.origin, "answers with a web page (a captive portal?)")


def read_digest(answer: Answer) -> Digest | None:
    """Return the digest that the answer names in a header; None without a valid one."""
    try:
        return Digest.parse(answer.response.headers.get("docker-content-digest", ""))
    except DigestInvalid:
        return None
