"""The metrics of the requests of one process to upstreams.

Labels have only values of the settings: names of upstreams, and origins of their endpoints.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
UP = "entrepot_upstream_up"
REQUESTS = "entrepot_upstream_requests"
LAST_SUCCESS = "entrepot_upstream_last_success_timestamp_seconds"
_ENDPOINT = ("upstream", "endpoint")


class UpstreamMetrics:
    """What upstreams were asked, what they answered, and how fast."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            REQUESTS,
            "Requests to each endpoint by method and outcome, without those that were given up.",
            (*_ENDPOINT, "method", "outcome"),
            registry=registry,
        )
        self.counted_pulls = Counter(
            "entrepot_counted_pulls",
            "Answers of each endpoint that count against a pull limit, as the mirror counts them.",
            _ENDPOINT,
            registry=registry,
        )
        self.seconds = Histogram(
            "entrepot_upstream_seconds",
            "Seconds until the head of an answer of an endpoint came, after redirects.",
            _ENDPOINT,
            buckets=SECONDS,
            registry=registry,
        )
        self.up = Gauge(
            UP,
            "0 if an endpoint did not answer three requests in a row of a process, else 1.",
            _ENDPOINT,
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.last_success = Gauge(
            LAST_SUCCESS,
            "When an endpoint last gave an answer that was no failure, in epoch seconds.",
            _ENDPOINT,
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.stale = Counter(
            "entrepot_stale",
            "Manifests that were served though the upstream did not confirm them, by the reason.",
            ("upstream", "why"),
            registry=registry,
        )
