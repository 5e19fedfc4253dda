"""Errors of an upstream that gave no usable answer: nothing is known about the content."""

from collections.abc import Iterable

from registry.errors.root import EntrepotError


class UpstreamError(EntrepotError):
    """The upstream gave no usable answer; stored content and known tags stay valid.

    `endpoint` is scheme, host and port, without path, query or credentials. `retry_after` is in
    seconds; None if the upstream did not name a time.
    """

    def __init__(self, endpoint: str, why: str, retry_after: float | None = None) -> None:
        self.endpoint, self.why, self.retry_after = endpoint, why, retry_after
        super().__init__(f"{endpoint}: {why}")

    def add_failures(self, failures: Iterable["UpstreamError"]) -> None:
        """Add the failures of the other endpoints to the message, in the order of the requests."""
        reasons = {each.endpoint: each.why for each in (*failures, self)}
        self.args = ("; ".join(f"{endpoint}: {why}" for endpoint, why in reasons.items()),)


class UpstreamUnreachable(UpstreamError):
    """No connection, no answer in time, a transfer that broke off, or a 5xx."""


class UpstreamThrottled(UpstreamError):
    """The upstream answered 429."""


class UpstreamDenied(UpstreamError):
    """401 or 403 with the configured credentials: they are wrong, or the content is private."""


class UpstreamFaulty(UpstreamError):
    """An answer that the specification does not allow: a login page, wrong bytes, a wrong range."""


class UpstreamOffline(UpstreamError):
    """The mirror is offline or serves a bundle, and the content is not stored here."""

    def __init__(self, name: str) -> None:
        super().__init__(
            name,
            "this is not stored here, and no upstream is asked: this mirror is offline"
            " (offline = true), or serves a bundle that does not contain it",
        )
