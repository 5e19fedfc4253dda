"""The endpoints that have sent bytes of one blob, and whether these were right."""

from collections.abc import Sequence

from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.meter import Meter


class BlobSenders:
    """The endpoints of a pool that have answered with bytes of a blob, in this order.

    `blob` is the path of the blob, for the log. `meters` has for each endpoint what counts and
    times its bytes.
    """

    def __init__(self, pool: EndpointPool, blob: str) -> None:
        self._pool = pool
        self._blob = blob
        self.meters: dict[Endpoint, Meter] = {}
        self._liars: set[str] = set()

    def measure(self, endpoint: Endpoint) -> Meter:
        """Return the meter that counts and times the bytes of an endpoint."""
        if endpoint not in self.meters:
            self.meters[endpoint] = Meter(endpoint.measured, self._pool.clock)
        return self.meters[endpoint]

    def mark_suspect(self, *origins: str) -> Sequence[str]:
        """Mark these endpoints, or all that sent bytes, as suspect; see `BlobDownload`."""
        # The first sender is marked last: the sender that only completed the blob is less likely
        # to be wrong.
        senders = [each.origin for each, meter in reversed(self.meters.items()) if meter.sent]
        suspects = origins or tuple(senders)
        if not origins and len(suspects) == 1:
            self.mark_wrong(*suspects)
        else:
            self._pool.suspects.mark(suspects)
        return suspects

    def mark_right(self) -> None:
        """Note that the digest agrees with the bytes; see `BlobDownload`."""
        for endpoint, meter in self.meters.items():
            # The bytes of others may be all that the digest has proved of an endpoint that lies.
            is_proof = len(self.meters) == 1 or not endpoint.measured.performance.is_distrusted
            if is_proof and endpoint.origin not in self._liars:
                endpoint.measured.note_right(meter.sent)
        if len(self.meters) == 1:
            self.acquit(*(each.origin for each in self.meters))

    def mark_wrong(self, origin: str) -> None:
        """Note that an endpoint has sent wrong bytes; see `BlobDownload`."""
        self._liars.add(origin)
        self._pool.suspects.convict(origin, self._blob)

    def acquit(self, *origins: str) -> None:
        """Note that the bytes of these endpoints were right; see `BlobDownload`."""
        for origin in origins:
            self._pool.suspects.acquit(origin)
