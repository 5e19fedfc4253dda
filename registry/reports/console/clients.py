"""The facts of the page of clients: who uses this mirror."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.catalog.pull_clients import ClientRow


@dataclass(frozen=True, slots=True)
class ClientReport:
    """A client by its address, and the image that it pulled last, at `pulled` (epoch seconds).

    `names` is the number of tags that it has pulled.
    """

    client: str
    pulled: float
    image: str
    names: int

    @classmethod
    def of(cls, row: "ClientRow") -> Self:
        """Return the report of a client from its row in the catalog."""
        sign = "@" if ":" in row.reference else ":"
        image = f"{row.repository}{sign}{row.reference}" if row.reference else row.repository
        return cls(row.client, row.pulled, image, row.names)


@dataclass(frozen=True, slots=True)
class ClientList:
    """A page of clients, the latest first; `after` begins the next page (empty: there is none).

    `shown` says what is recorded of addresses: `whole`, `networks` or `none`. Who asks has the
    address `you` (empty: addresses are not recorded as a whole), and pulled last at `you_pulled`
    (epoch seconds, 0: never).
    """

    clients: Sequence[ClientReport]
    after: str
    text: str
    shown: str
    you: str
    you_pulled: float
