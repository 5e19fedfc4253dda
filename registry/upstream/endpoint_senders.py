"""What is known of an endpoint when it may send ranges of another blob."""

from registry.upstream.endpoint import Endpoint
from registry.upstream.range_sender import Sender


def build_sender(number: int, endpoint: Endpoint, *, is_broken: bool) -> Sender:
    """Return the endpoint as a sender of ranges, with what was measured of it before.

    If it is known what one connection brings, and what several do, the first ranges are asked for
    over as many connections as have brought that. `is_broken` says that its connection broke just
    now.
    """
    known = endpoint.measured.performance
    sender = Sender(number, endpoint.origin, known.total or known.rate, known.first_byte)
    sender.failures = int(is_broken)
    if known.rate and known.total:
        sender.allowed = max(1, round(known.total / known.rate))
    return sender
