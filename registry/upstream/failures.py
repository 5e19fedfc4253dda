"""Finer kinds of failure, used in this package only: what a failure says about an endpoint."""

from registry.errors import UpstreamFaulty, UpstreamUnreachable


class EndpointSuspended(UpstreamUnreachable):
    """No request was sent: a circuit breaker is open for `retry_after` more seconds."""


class AttemptFailed(UpstreamUnreachable):
    """The endpoint answered this request with a 500 or 408; it may well answer others."""


class RedirectBroken(UpstreamUnreachable):
    """The host that the endpoint redirected to does not send the content; the endpoint works."""


class HeadRefused(UpstreamFaulty):
    """The endpoint does not support HEAD (405, 501): only a GET can tell."""


class WrongSize(UpstreamFaulty):
    """The endpoint has more bytes of a blob, or fewer, than the descriptor says."""
