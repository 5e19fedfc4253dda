"""The endpoints that have sent bytes of one blob, and whether these were right."""

from collections.abc import Iterator, Sequence

from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.meter import Meter


class BlobSenders:
    """The endpoints of a pool that have answered with bytes of one blob, in this order."""

    def __init__(self, pool: EndpointPool) -> None:
        self._pool = pool
        self._meters: dict[Endpoint, Meter] = {}
        self._liars: set[Endpoint] = set()

    def __contains__(self, endpoint: object) -> bool:
        return endpoint in self._meters

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._meters)

    def __len__(self) -> int:
        return len(self._meters)

    def measure(self, endpoint: Endpoint) -> Meter:
        """Return what measures the bytes that an endpoint sends."""
        if endpoint not in self._meters:
            self._meters[endpoint] = Meter(endpoint.measured, self._pool.clock)
        return self._meters[endpoint]

    def mark_suspect(self, *origins: str) -> Sequence[str]:
        """Mark these endpoints, or all that sent bytes, as suspect; see `BlobDownload`."""
        # The first sender is marked last: the sender that only completed the blob is less likely
        # to be wrong.
        senders = [each for each, meter in reversed(self._meters.items()) if meter.sent]
        suspects = origins or tuple(each.origin for each in senders)
        self._pool.mark_suspect(suspects)
        if not origins and len(senders) == 1:
            senders[0].measured.note_wrong()
        return suspects

    def mark_right(self) -> None:
        """Note that the digest agrees with the bytes; see `BlobDownload`."""
        for endpoint, meter in self._meters.items():
            if endpoint not in self._liars:
                endpoint.measured.note_right(meter.sent)

    def mark_wrong(self, origin: str) -> None:
        """Note that an endpoint has sent wrong bytes; see `BlobDownload`."""
        self._pool.mark_suspect((origin,))
        for endpoint in self._meters:
            if endpoint.origin == origin:
                self._liars.add(endpoint)
                endpoint.measured.note_wrong()
