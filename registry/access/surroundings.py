"""What says who asks, besides the bytes of a request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What says who asks, and is not in the bytes of a request.

    `address` is that of the client; `certificate` is the common name of its certificate, if it was
    verified.
    """

    address: str | None = None
    certificate: str = ""
