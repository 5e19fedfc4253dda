"""The facts of the page of clients: who uses this mirror, with which tool, and what they got."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.catalog.client_visits import VisitRow
    from registry.catalog.pull_clients import ClientRow


_FIRST_ERROR = 400  # of the HTTP statuses


@dataclass(frozen=True, slots=True)
class VisitReport:
    """The last request of a client with one tool for the manifest of an image.

    `tool` and `shape` are among those of `oci/client_tools.py`. It asked for `image` at `seen`
    (epoch seconds), and got the HTTP status `status`, and content whose cache status is `origin`
    (empty: none).
    """

    client: str
    tool: str
    shape: str
    image: str
    status: int
    origin: str
    seen: float

    @classmethod
    def of(cls, row: "VisitRow") -> Self:
        """Return the report of a visit from its row in the catalog."""
        visit = row.visit
        return cls(
            row.client,
            visit.tool,
            visit.shape,
            visit.image,
            visit.status,
            visit.origin,
            row.seen,
        )

    @property
    def has_failed(self) -> bool:
        """Whether it got an error."""
        return self.status >= _FIRST_ERROR


@dataclass(frozen=True, slots=True)
class ClientReport:
    """A client by its address, and the image that it pulled last, at `pulled` (epoch seconds).

    `names` is the number of tags that it has pulled. `visits` has its last request with each tool,
    the latest first; it is empty for who was last here before that was recorded.
    """

    client: str
    pulled: float
    image: str
    names: int
    visits: Sequence[VisitReport] = ()

    @classmethod
    def of(cls, row: "ClientRow", visits: "Sequence[VisitRow]" = ()) -> Self:
        """Return the report of a client from its rows in the catalog."""
        sign = "@" if ":" in row.reference else ":"
        image = f"{row.repository}{sign}{row.reference}" if row.reference else row.repository
        reports = [VisitReport.of(each) for each in visits]
        return cls(row.client, row.pulled, image, row.names, reports)


@dataclass(frozen=True, slots=True)
class ClientList:
    """A page of clients, the latest first; `after` begins the next page (empty: there is none).

    `shown` says what is recorded of addresses: `whole`, `networks` or `none`. Who asks has the
    address `you` (empty: addresses are not recorded as a whole), and pulled last at `you_pulled`
    (epoch seconds, 0: never). `in_vain` are the last requests of those who have got nothing yet.
    """

    clients: Sequence[ClientReport]
    after: str
    text: str
    shown: str
    you: str
    you_pulled: float
    in_vain: Sequence[VisitReport] = ()
