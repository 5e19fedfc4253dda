"""Errors as clients see them: the one place that knows HTTP statuses.

See distribution-spec, "Error Codes"; those marked * here are the distribution implementation's own,
which clients know as well.
"""

import json
import math
from types import MappingProxyType

from aiohttp import web

from registry import errors
from registry.oci import media_types

UNSUPPORTED = "UNSUPPORTED"

# Looked up along the class's ancestry, so that a new error is answered like its family.
_TABLE = MappingProxyType(
    {
        errors.NameInvalid: (400, "NAME_INVALID"),
        errors.TagInvalid: (400, "TAG_INVALID"),  # *
        errors.DigestInvalid: (400, "DIGEST_INVALID"),
        errors.PaginationInvalid: (400, "PAGINATION_NUMBER_INVALID"),  # *
        errors.RangeUnsatisfiable: (416, "RANGE_INVALID"),  # *
        errors.NameUnknown: (404, "NAME_UNKNOWN"),
        errors.ManifestUnknown: (404, "MANIFEST_UNKNOWN"),
        errors.BlobUnknown: (404, "BLOB_UNKNOWN"),
        # Any code but NAME_UNKNOWN: clients then use the tag scheme.
        errors.ReferrersUnsupported: (404, UNSUPPORTED),
        errors.UpstreamDenied: (404, "NAME_UNKNOWN"),
        errors.UpstreamOffline: (404, "NAME_UNKNOWN"),
        # Not 429: containerd would come back five times at once.
        errors.UpstreamThrottled: (503, "UNAVAILABLE"),  # *
        errors.UpstreamUnreachable: (503, "UNAVAILABLE"),  # *
        errors.UpstreamError: (502, "UNAVAILABLE"),  # *
        errors.ManifestInvalid: (502, "MANIFEST_INVALID"),
        errors.DigestMismatch: (502, "DIGEST_INVALID"),
        errors.InvalidInput: (400, "UNKNOWN"),  # *
        errors.Unknown: (404, "UNKNOWN"),  # *
        errors.ImagePinned: (409, "DENIED"),
        errors.NotPinned: (404, "UNKNOWN"),  # *
        errors.StoreError: (500, "UNKNOWN"),  # *
        errors.EntrepotError: (500, "UNKNOWN"),  # *
    }
)


def find_status(error: errors.EntrepotError) -> tuple[int, str]:
    """Return the HTTP status and the code of an error."""
    return next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)


def render(error: errors.EntrepotError) -> web.Response:
    """Return the answer for an error: the specification's JSON, and what helps to retry."""
    status, code = find_status(error)
    response = _refuse(status, code, str(error))
    if isinstance(error, errors.RangeUnsatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    if isinstance(error, errors.UpstreamError) and status == 503:
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after or 5)))
    return response


def refuse_write() -> web.Response:
    """Return the answer to whoever wants to push or delete."""
    response = _refuse(
        405, UNSUPPORTED, "this is a read-only mirror; push to the registry it mirrors"
    )
    response.headers["Allow"] = "GET, HEAD"
    return response


def refuse_address() -> web.Response:
    """Return the answer to a path that is no endpoint of the pull API."""
    return _refuse(404, "NAME_UNKNOWN", "not an address of the registry API")


def _refuse(status: int, code: str, message: str) -> web.Response:
    # `message` is shown to people by docker and others.
    entry = {"code": code, "message": message, "detail": None}
    body = json.dumps({"errors": [entry]}).encode()
    return web.Response(status=status, body=body, headers={"Content-Type": media_types.JSON})
