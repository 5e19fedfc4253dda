"""Failures of endpoints that only this room distinguishes."""

from registry.errors import UpstreamFaulty, UpstreamUnreachable


class EndpointSuspended(UpstreamUnreachable):
    """A circuit breaker is open: no request was sent, or only a probe, which failed."""


class AttemptFailed(UpstreamUnreachable):
    """The endpoint answered this request with a 500 or 408; it may answer other requests."""


class RedirectBroken(UpstreamUnreachable):
    """The host after a redirect does not send the content; the endpoint itself works."""


class HeadRefused(UpstreamFaulty):
    """The endpoint does not support HEAD (405, 501): only a GET gets an answer."""


class WrongSize(UpstreamFaulty):
    """The endpoint has more bytes of a blob, or fewer, than the descriptor says."""
