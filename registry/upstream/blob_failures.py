"""How the endpoints of an upstream have failed to send one blob."""

from collections.abc import Iterable

from registry.errors import Unknown, UpstreamError, UpstreamFaulty
from registry.upstream.combined_failures import combine
from registry.upstream.endpoint import Endpoint
from registry.upstream.failures import RangeRefused, WrongSize

Failure = Unknown | UpstreamError


class BlobFailures:
    """The failures of each endpoint.

    An endpoint in `without_range` has refused a range, so it is asked for the whole blob. One in
    `faulty` is not asked again, as its answer would be the same. An answer of the right size may be
    faulty once: another server of the endpoint may have ranges.
    """

    def __init__(self) -> None:
        self.without_range: set[Endpoint] = set()
        self.faulty: dict[Endpoint, UpstreamFaulty] = {}
        self.last: dict[Endpoint, Failure] = {}  # the last failure of each endpoint
        self._faulty_once: set[Endpoint] = set()

    def note(self, endpoint: Endpoint, error: Failure) -> None:
        """Note a failure of an endpoint."""
        self.last[endpoint] = error
        if isinstance(error, RangeRefused):
            self.without_range.add(endpoint)
        elif isinstance(error, UpstreamFaulty):
            if isinstance(error, WrongSize) or endpoint in self._faulty_once:
                self.faulty[endpoint] = error
            self._faulty_once.add(endpoint)

    def is_absent(self, endpoint: Endpoint) -> bool:
        """Whether the endpoint has said that it does not have the blob."""
        return isinstance(self.last.get(endpoint), Unknown)

    def explain(self, failures: Iterable[Failure]) -> Failure:
        """Return the error for a round of `failures` after which nobody is asked again.

        A faulty endpoint was not asked in this round, but it may still have the blob.
        """
        return combine([*self.faulty.values(), *failures], list(self.last.values()))
