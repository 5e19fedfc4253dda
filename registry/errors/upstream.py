"""Errors of an upstream that gave no usable answer: nothing is known about the content."""

from collections.abc import Mapping
from typing import Self

from registry.errors.root import EntrepotError


class UpstreamError(EntrepotError):
    """The upstream gave no usable answer; stored content and known tags stay valid.

    `endpoint` is scheme, host and port, without path, query or credentials. `retry_after` is in
    seconds; None if the upstream did not name a time.
    """

    summary = "gives no usable answer"  # what clients may know of the reason
    advice = ""  # what the operator can change in the settings; clients may know it too

    def __init__(self, endpoint: str, why: str, retry_after: float | None = None) -> None:
        self.endpoint, self.why, self.retry_after = endpoint, why, retry_after
        super().__init__(f"{endpoint}: {why}")

    def add_answers(self, answers: Mapping[str, str]) -> None:
        """Name in the message what each endpoint answered; `answers` are by endpoint."""
        reasons = {**answers, self.endpoint: self.why}
        self.args = ("; ".join(f"{endpoint}: {why}" for endpoint, why in reasons.items()),)

    def advise(self, advice: str) -> Self:
        """Return a copy of the error that also says what the operator can change."""
        advised = self.copy()
        advised.advice = advice
        advised.args = (f"{self}; {advice}",)
        return advised

    @property
    def public(self) -> str:
        """What clients may read: the addresses of endpoints are only in the log."""
        return "; ".join(filter(None, (f"the upstream {self.summary}", self.advice)))


class UpstreamUnreachable(UpstreamError):
    """No connection, no answer in time, a transfer that broke off, or a 5xx."""

    summary = "does not answer, or not in time"


class TagUnconfirmed(UpstreamUnreachable):
    """Only one endpoint says what a tag leads to, and the settings ask for two that agree."""

    summary = "has only one endpoint that says what this tag means, and two have to agree"


class UpstreamThrottled(UpstreamError):
    """The upstream answered 429."""

    summary = "answers 429: too many requests"


class PullsReserved(UpstreamThrottled):
    """The request was not sent: what is left of the pull limit is reserved for clients."""

    summary = "has no more of its pull limit left than is reserved for clients"

    def __init__(self, endpoint: str, remaining: int, keep: int) -> None:
        why = f"{remaining} requests of its pull limit are left, and keep_pulls is {keep}"
        super().__init__(endpoint, why)


class UpstreamDenied(UpstreamError):
    """401 or 403 with the configured credentials: they are wrong, or the content is private."""

    summary = "does not let this mirror have it"


class TagDisputed(UpstreamError):
    """The endpoints of an upstream disagree about a tag, and none of them decides.

    `said` has the digest that each endpoint says, by its origin.
    """

    def __init__(self, name: str, said: Mapping[str, str]) -> None:
        self.said = dict(said)
        digests = " or ".join(dict.fromkeys(said.values()))
        self.summary = f"has endpoints that disagree about this tag: {digests}"
        super().__init__(name, "the endpoints disagree about this tag")
        self.add_answers({origin: f"says {digest}" for origin, digest in said.items()})


class UpstreamFaulty(UpstreamError):
    """An answer that the specification does not allow: a login page, wrong bytes, a wrong range."""

    summary = "sends an answer that cannot be used"


class UpstreamUnproven(UpstreamError):
    """No endpoint has sent right bytes before, and bytes are needed that are sent at once."""

    summary = "has no endpoint whose bytes may be sent before they are verified"
    advice = 'free space on the disk, or set stream = "always"'

    def __init__(self, name: str) -> None:
        super().__init__(name, f"{self.summary}; {self.advice}")


class UpstreamLoop(UpstreamFaulty):
    """A request has come back to the mirror that sent it: an endpoint leads to this mirror."""

    summary = (
        "leads back to this mirror: correct its endpoints in the settings, or those of the mirror "
        "between"
    )

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "leads back to this mirror; correct endpoints in the settings")


class UpstreamOffline(UpstreamError):
    """The mirror is offline or serves a bundle, and the content is not stored here."""

    def __init__(self, name: str) -> None:
        super().__init__(
            name,
            "this is not stored here, and no upstream is asked: this mirror is offline"
            " (offline = true), or serves a bundle that does not contain it",
        )

    @property
    def public(self) -> str:
        """What clients may read."""
        return str(self)
