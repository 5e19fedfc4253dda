"""What says who asks, besides the bytes of a request."""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What says who asks, and is not in the bytes of a request.

    `address` is that of the client; `certificate` is the common name of its certificate, if it was
    verified, and `ends` when that one ends, in epoch seconds: a connection may last longer. With
    `is_hidden`, the address is that of a proxy which has not said whose request it passes on:
    limits and the log use it, and it is in no group.
    """

    address: str | None = None
    certificate: str = ""
    is_hidden: bool = False
    ends: float = math.inf

    @property
    def place(self) -> str | None:
        """The address by which the client is in groups; None if it is in none."""
        return None if self.is_hidden else self.address

    def pass_on(self, address: str | None, *, is_hidden: bool) -> "Surroundings":
        """Return those of a request that a proxy passes on for the client `address`.

        The certificate is that of the proxy, so it does not prove who its client is.
        """
        return replace(self, address=address, is_hidden=is_hidden, certificate="", ends=math.inf)

    def find_certificate(self, now: float) -> str:
        """Return the name of the certificate; empty if there is none, or it has ended."""
        return self.certificate if now < self.ends else ""
