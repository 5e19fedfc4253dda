"""What the status of an answer means, by what was asked for. Pure.

Registries and the proxies in front of them refuse requests in many ways that the specification does
not name. This is the only place that decides what such a status means.
"""

from enum import Enum, auto
from types import MappingProxyType

# The server refuses the request as it is: another form of it (a GET, no range) may be answered.
_REFUSED = frozenset({400, 405, 406, 409, 410, 411, 412, 413, 414, 415, 416, 417, 422, 501})
# After a HEAD, these may mean the same: Nexus answers 404 to the HEAD of a manifest that it has.
_DOUBTFUL = frozenset({403, 404, 500})


class Resource(Enum):
    """What a request asks for."""

    MANIFEST = auto()
    BLOB = auto()
    TAGS = auto()
    REFERRERS = auto()


class Meaning(Enum):
    """What an answer without content says."""

    MISSING = auto()  # the registry does not have it
    DENIED = auto()  # the login of the mirror may not have it
    THROTTLED = auto()  # too many requests
    UNREACHABLE = auto()  # a gateway got no answer from the registry
    FAILED = auto()  # this request fails now; other requests may not
    REDIRECT_BROKEN = auto()  # the host after a redirect refuses; the registry may have the content
    NO_HEAD = auto()  # the HEAD is refused, and a GET decides
    NO_RANGE = auto()  # the range is refused, and the request is repeated without it
    REFUSED = auto()  # the request is refused; nothing is known about the content
    LOOP = auto()  # the request has come back to the mirror that sent it


LOOP_DETECTED = 508  # RFC 5842 section 7.2; a mirror answers so to itself
_PLAIN = MappingProxyType(
    {
        404: Meaning.MISSING,
        401: Meaning.DENIED,
        403: Meaning.DENIED,
        429: Meaning.THROTTLED,
        408: Meaning.FAILED,
        502: Meaning.UNREACHABLE,
        503: Meaning.UNREACHABLE,
        504: Meaning.UNREACHABLE,
    }
)


def read_status(
    status: int,
    resource: Resource,
    *,
    is_head: bool = False,
    is_head_trusted: bool = False,
    has_range: bool = False,
    is_range_trusted: bool = False,
    is_redirected: bool = False,
) -> Meaning:
    """Return the meaning of a status that is not 2xx.

    `is_head_trusted` says that a HEAD in this repository has succeeded before, `is_range_trusted`
    that a range has. `is_redirected` says that another host sent the answer, after a redirect.
    """
    if status == LOOP_DETECTED:
        return Meaning.LOOP
    if is_head and _refuses_head(status, is_trusted=is_head_trusted, is_redirected=is_redirected):
        return Meaning.NO_HEAD
    if has_range and (status in _REFUSED or (status == 403 and not is_range_trusted)):
        return Meaning.NO_RANGE
    if resource is Resource.REFERRERS and _has_no_referrers_api(
        status, is_redirected=is_redirected
    ):
        return Meaning.MISSING
    if is_redirected and (status >= 500 or status in (401, 403, 408) or resource is Resource.BLOB):
        # The signed URL may have expired, the clocks may differ, or the content host may not have
        # the blob yet. The registry itself may have the content in all these cases.
        return Meaning.REDIRECT_BROKEN
    return _read_plain(status)


def _refuses_head(status: int, *, is_trusted: bool, is_redirected: bool) -> bool:
    if status in _REFUSED:
        return True
    # The signature of a URL may be valid for a GET only.
    doubtful = _DOUBTFUL | {401} if is_redirected else _DOUBTFUL
    return status in doubtful and not is_trusted


def _has_no_referrers_api(status: int, *, is_redirected: bool) -> bool:
    # registry.k8s.io redirects unknown paths to a login page, and older registries refuse them in
    # any of these ways.
    return status in _REFUSED or status == 404 or (is_redirected and status in (401, 403))


def _read_plain(status: int) -> Meaning:
    if status in _PLAIN:
        return _PLAIN[status]
    return Meaning.FAILED if status >= 500 else Meaning.REFUSED
