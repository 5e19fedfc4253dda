"""Finer kinds of failure, known to this package only: what a failure says about an endpoint."""

from registry.errors import UpstreamFaulty, UpstreamUnreachable


class EndpointSuspended(UpstreamUnreachable):
    """Nothing was sent: the breaker is open for `retry_after` more seconds."""


class AttemptFailed(UpstreamUnreachable):
    """It answers this question with a 5xx of its own (a 500); others it may well answer."""


class RedirectBroken(UpstreamUnreachable):
    """The host it redirected to does not give the content; the endpoint itself is well."""


class HeadRefused(UpstreamFaulty):
    """It knows no HEAD (405, 501): only a GET can tell."""


class WrongSize(UpstreamFaulty):
    """It has more bytes of a blob, or fewer, than the descriptor says."""
