"""The pull limits of upstreams, as metrics of one process."""

from prometheus_client import CollectorRegistry, Gauge

REMAINING = "entrepot_upstream_pulls_remaining"
LIMIT = "entrepot_upstream_pulls_limit"
UNTIL = "entrepot_upstream_pulls_until_seconds"
_LABELS = ("endpoint", "identity")


class PullLimitMetrics:
    """What each endpoint last said of its pull limit; `identity` is the user (empty: none)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._remaining = _make(
            registry, REMAINING, "Pulls left of the limit, as an upstream endpoint last reported."
        )
        self._limit = _make(
            registry, LIMIT, "Pulls that the limit of an upstream endpoint allows in a period."
        )
        self._until = _make(
            registry, UNTIL, "When the period of a pull limit ends, in epoch seconds."
        )

    def note(
        self, endpoint: str, identity: str, remaining: int, *, allowed: int, until: float
    ) -> None:
        """Note how many pulls are left of those `allowed` until its period ends (epoch seconds)."""
        self._remaining.labels(endpoint, identity).set(remaining)
        self._limit.labels(endpoint, identity).set(allowed)
        self._until.labels(endpoint, identity).set(until)


def _make(registry: CollectorRegistry, name: str, text: str) -> Gauge:
    return Gauge(name, text, _LABELS, registry=registry, multiprocess_mode="mostrecent")
