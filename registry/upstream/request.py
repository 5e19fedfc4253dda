"""A request to a registry, its answer, and the error for an answer other than 2xx."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from registry.errors import (
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamFaulty,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.upstream.failures import AttemptFailed, HeadRefused, RedirectBroken
from registry.upstream.rate_limit import read_retry_after


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the pull API, before login and redirects.

    `path` is the part after `/v2/`, with the query. `missing` makes the error for a 404. `is_blob`
    says whether the path is the path of a blob. `counts` says whether the registry counts the
    request against its pull limit, as Docker Hub counts each GET of a manifest. `start_at` is a URL
    to which an earlier answer to the same path redirected; if it is None, the registry itself is
    asked. `has_fallback` says whether the mirror can serve something else if there is no answer:
    then an open circuit breaker stops the request. Other requests probe the endpoint.
    """

    method: str
    path: str
    repository: str
    missing: Callable[[], Unknown]
    headers: Mapping[str, str] = field(default_factory=dict)
    is_blob: bool = False
    counts: bool = False
    has_fallback: bool = False
    start_at: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response whose body is not read yet, with the URL that sent it, after redirects.

    `origin` is the scheme, host and port of `url`: the part that logs and errors may show.
    """

    response: httpx.Response
    url: str
    origin: str


async def read_body(answer: Answer, limit: int) -> bytes:
    """Read a whole body of at most `limit` bytes.

    Raises:
        UpstreamFaulty: the body is longer; the rest is not read.
    """
    body = bytearray()
    async for chunk in answer.response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise UpstreamFaulty(answer.origin, f"sends more than {limit} bytes")
    return bytes(body)


def error_of(request: Request, answer: Answer, *, is_redirected: bool) -> Unknown | UpstreamError:
    """Return the error for an answer with a status other than 2xx.

    `is_redirected` says whether another host sent the answer, after a redirect.
    """
    status = answer.response.status_code
    retry_after = read_retry_after(answer.response.headers)
    if is_redirected and (status >= 500 or status in (401, 403, 408) or request.is_blob):
        # The signed URL may have expired, the clocks may differ, or the content host may not have
        # the blob yet. The registry itself may have the content in all these cases.
        why = f"refuses the URL to which the registry redirected ({status})"
        return RedirectBroken(answer.origin, why, retry_after)
    if status == 404:
        return request.missing()
    kind, why = _read_status(status, request.method)
    return kind(answer.origin, why, retry_after)


def _read_status(status: int, method: str) -> tuple[type[UpstreamError], str]:
    match status:
        case 429:
            return UpstreamThrottled, "answers 429: too many requests"
        case 401 | 403:
            return UpstreamDenied, f"refuses access ({status}): private, or it does not exist"
        case 405 | 501 if method == "HEAD":
            return HeadRefused, f"does not support HEAD ({status})"
        case 502 | 503 | 504:
            return UpstreamUnreachable, f"answers {status}"
        case _ if status >= 500 or status == 408:
            return AttemptFailed, f"answers {status}"
    return UpstreamFaulty, f"answers {status}, which the specification does not allow here"
