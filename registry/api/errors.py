"""Errors as clients see them: the only place that knows HTTP statuses.

The codes are those of distribution-spec, "Error Codes". The codes marked with * are not in the
specification: the registry `distribution` sends them, and clients know them too.
"""

import json
import math
from http import HTTPStatus
from types import MappingProxyType

from aiohttp import web

from registry import errors
from registry.errors.masking import mask_secrets
from registry.oci import media_types

UNSUPPORTED = "UNSUPPORTED"
RETRY_AFTER = 5  # seconds after which a client may ask again, if no upstream named a time
# The user of a client can do no more; the operator finds the reason in the log.
_ASK = "ask whoever runs this mirror (its log says why)"
_LATER = f"try again later, or {_ASK}"
_STORE_FAILED = f"this mirror cannot read or write its data folder at the moment; {_LATER}"
_NO_MEDIUM = (
    f"the medium with the bundle cannot be read; plug it in again, or restart the server, or {_ASK}"
)

# A class without a row has the status and code of the nearest class above it in the tree.
_TABLE = MappingProxyType(
    {
        errors.AccessDenied: (403, "DENIED"),  # 401 with a challenge
        # containerd reports this status if no other host has the image; a 404 it would pass over.
        errors.NotMirrored: (403, "DENIED"),
        errors.TooManyLogins: (429, "TOOMANYREQUESTS"),
        errors.AccountUnknown: (404, "UNKNOWN"),  # *
        errors.AccountExists: (409, "DENIED"),
        errors.NameInvalid: (400, "NAME_INVALID"),
        errors.TokenMisplaced: (400, "NAME_INVALID"),
        errors.TagInvalid: (400, "TAG_INVALID"),  # *
        errors.DigestInvalid: (400, "DIGEST_INVALID"),
        errors.PaginationInvalid: (400, "PAGINATION_NUMBER_INVALID"),  # *
        errors.RangeUnsatisfiable: (416, "RANGE_INVALID"),  # *
        errors.NameUnknown: (404, "NAME_UNKNOWN"),
        errors.ManifestUnknown: (404, "MANIFEST_UNKNOWN"),
        errors.BlobUnknown: (404, "BLOB_UNKNOWN"),
        # With any code but NAME_UNKNOWN, clients use the referrers tag instead.
        errors.ReferrersUnsupported: (404, UNSUPPORTED),
        errors.UpstreamDenied: (404, "NAME_UNKNOWN"),
        errors.UpstreamOffline: (404, "NAME_UNKNOWN"),
        # Not 429: containerd would repeat the request five times without waiting.
        errors.UpstreamThrottled: (503, "UNAVAILABLE"),  # *
        errors.UpstreamUnreachable: (503, "UNAVAILABLE"),  # *
        errors.UpstreamLoop: (HTTPStatus.LOOP_DETECTED, "UNAVAILABLE"),  # * RFC 5842 section 7.2
        errors.UpstreamError: (502, "UNAVAILABLE"),  # *
        errors.ManifestInvalid: (502, "MANIFEST_INVALID"),
        errors.DigestMismatch: (502, "DIGEST_INVALID"),
        errors.TooManyDownloads: (503, "UNAVAILABLE"),  # *
        # Each repetition waits for its turn, so containerd has five of them.
        errors.TooManyUnknown: (429, "TOOMANYREQUESTS"),
        errors.TooManyRequests: (429, "TOOMANYREQUESTS"),
        errors.TooManyReaders: (503, "UNAVAILABLE"),  # *
        errors.DownloadCrashed: (500, "UNAVAILABLE"),  # *
        errors.InvalidInput: (400, "UNKNOWN"),  # *
        errors.Unknown: (404, "UNKNOWN"),  # *
        errors.ImagePinned: (409, "DENIED"),
        errors.NotPinned: (404, "UNKNOWN"),  # *
        errors.NotRolledBack: (404, "UNKNOWN"),  # *
        errors.ImageInUse: (409, "DENIED"),
        errors.MediumUnreadable: (503, "UNAVAILABLE"),  # *
        errors.StoreError: (500, "UNKNOWN"),  # *
        errors.EntrepotError: (500, "UNKNOWN"),  # *
    }
)


def find_status(error: errors.EntrepotError) -> tuple[int, str]:
    """Return the HTTP status and the code of an error."""
    return next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)


def render(error: errors.EntrepotError, registry: str = "") -> web.Response:
    """Return the answer for an error: the specification's JSON, and headers that help the client.

    `registry` is the registry of the repository that was asked for. Clients see its name, and not
    the addresses of its endpoints: those are in the log.

    If a range is outside of the content, a header has the size of the content. If the same request
    may succeed later, a header has the seconds after which to try again.
    """
    status, code = find_status(error)
    # The message of a StoreError names paths of this machine, which only the log may show.
    message = _STORE_FAILED if isinstance(error, errors.StoreError) else error.public
    if isinstance(error, errors.MediumUnreadable):
        message = _NO_MEDIUM
    is_failure = isinstance(error, errors.UpstreamError)
    if registry and is_failure and not isinstance(error, errors.UpstreamOffline):
        message = f"{registry}: {message}; {_LATER if status == 503 else _ASK}"
    challenge = error.challenge if isinstance(error, errors.AccessDenied) else ""
    if challenge:
        status, code = 401, "UNAUTHORIZED"
    response = _render_json(status, code, mask_secrets(message))
    if challenge:
        response.headers["WWW-Authenticate"] = challenge
    if isinstance(error, errors.RangeUnsatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    if status in (429, 503):
        wait = error.retry_after if isinstance(error, errors.UpstreamError) else None
        response.headers["Retry-After"] = str(max(1, math.ceil(wait or RETRY_AFTER)))
    return response


def render_read_only() -> web.Response:
    """Return the answer to a request that pushes or deletes."""
    response = _render_json(
        405, UNSUPPORTED, "this is a read-only mirror; push to the registry that it mirrors"
    )
    response.headers["Allow"] = "GET, HEAD"
    return response


def render_no_endpoint() -> web.Response:
    """Return the answer to a path that is not an endpoint of the API."""
    return _render_json(404, "NAME_UNKNOWN", "this path is not part of the registry API")


def render_malformed(why: str) -> web.Response:
    """Return the answer to bytes that are not a request; `why` must not quote them."""
    return _render_json(400, "UNKNOWN", why)


def render_crash() -> web.Response:
    """Return the answer to a request on which the mirror has crashed."""
    return _render_json(500, "UNKNOWN", f"this mirror has failed; {_LATER}")


def render_overloaded() -> web.Response:
    """Return the answer to a client for whom there is no room among the connections."""
    response = _render_json(503, "UNAVAILABLE", "this mirror has too many clients; try again soon")
    response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def render_plain_http() -> web.Response:
    """Return the answer to a client that speaks plain HTTP where TLS is spoken."""
    return _render_json(400, UNSUPPORTED, "this mirror speaks TLS: write https:// and not http://")


def _render_json(status: int, code: str, message: str) -> web.Response:
    # docker and other clients show `message` to people.
    entry = {"code": code, "message": message, "detail": None}
    body = json.dumps({"errors": [entry]}).encode()
    return web.Response(status=status, body=body, headers={"Content-Type": media_types.JSON})
