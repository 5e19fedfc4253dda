"""How requests to an endpoint ended, in one word each, for metrics. Pure."""

from registry.errors import (
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamOffline,
    UpstreamThrottled,
    UpstreamUnreachable,
)
from registry.upstream.failures import AttemptFailed, RedirectBroken

OK = "ok"
UNREACHABLE = "unreachable"
_ERROR = "error"
_NAMES: tuple[tuple[type[Unknown] | type[UpstreamError], str], ...] = (
    (Unknown, "absent"),
    (UpstreamDenied, "denied"),
    (UpstreamThrottled, "throttled"),
    (UpstreamOffline, "offline"),
    (AttemptFailed, _ERROR),
    (RedirectBroken, _ERROR),
    (UpstreamUnreachable, UNREACHABLE),
)


def name_outcome(error: Unknown | UpstreamError | None) -> str:
    """Return how a request ended, by its error (None: it was answered).

    `absent`, `denied` and `throttled` are clear answers. `unreachable` means no answer, or that a
    gateway got none; `error` is any other failure, also a 500, which may be of this request only.
    """
    if error is None:
        return OK
    return next((name for kind, name in _NAMES if isinstance(error, kind)), _ERROR)
