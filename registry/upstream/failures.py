"""Failures of endpoints that only this room distinguishes."""

from registry.errors import UpstreamError, UpstreamFaulty, UpstreamThrottled, UpstreamUnreachable


class EndpointSuspended(UpstreamUnreachable):
    """A circuit breaker is open: no request was sent, or only a probe, which failed."""


class NoConnection(UpstreamUnreachable):
    """The endpoint does not accept a connection, or its name does not resolve."""


class AttemptFailed(UpstreamUnreachable):
    """The endpoint answered this request with a 500 or 408; it may answer other requests."""


class RedirectBroken(UpstreamUnreachable):
    """The host after a redirect does not send the content; the endpoint itself works."""


class TokensThrottled(UpstreamThrottled):
    """The token service, perhaps on the host of the registry, gives no token now (429)."""


class RequestRefused(UpstreamFaulty):
    """The endpoint refuses the request as it is; another form of it may be answered."""


class HeadRefused(RequestRefused):
    """The endpoint refuses the HEAD, so that only a GET can answer.

    `is_missing` says that the answer was a 404, which may mean that there is no such content.
    `unanswered` is the failure of another endpoint that gave no answer.
    """

    is_missing = False
    unanswered: UpstreamError | None = None


class RangeRefused(RequestRefused):
    """The endpoint refuses the range, and may answer the request without it."""


class RangeIgnored(UpstreamFaulty):
    """The endpoint sends the whole blob where it was asked for a range."""


class WrongSize(UpstreamFaulty):
    """The endpoint has more bytes of a blob, or fewer, than the descriptor says."""


class NoneProven(UpstreamFaulty):
    """The settings want a proof, and no endpoint that may be asked has sent right bytes before."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "has no endpoint left that has sent right bytes before")


class AddressForbidden(UpstreamFaulty):
    """A server is at an address to which the mirror must not be sent; nothing was sent there."""

    def explain(self, cure: str) -> "AddressForbidden":
        """Return the error with how to allow the address."""
        return AddressForbidden(self.endpoint, f"{self.why}; {cure}")
