"""Laws of noting visits: a request costs a change in memory, and a record comes later."""

from registry.catalog.client_visits import VisitRow
from registry.content import client_visits
from registry.content.client_visits import ClientVisits
from registry.errors import StoreError
from registry.oci.client_tools import ClientVisit

VISIT = ClientVisit("docker", "default", "docker.io/team/app:1", 200, "hit")
LATER = ClientVisit("docker", "default", "docker.io/team/app:2", 404, "")


class Catalog:
    """Stands in for the catalog, which may refuse."""

    def __init__(self) -> None:
        self.recorded: list[list[VisitRow]] = []
        self.is_broken = False

    async def record(self, visits: list[VisitRow]) -> None:
        if self.is_broken:
            raise StoreError("catalog.db", "the disk refused")
        self.recorded.append(visits)


def open_visits(catalog: Catalog, now: float = 7.0) -> ClientVisits:
    return ClientVisits(catalog, lambda: now)  # type: ignore[arg-type]


async def test_only_the_last_visit_is_recorded() -> None:
    """A thousand requests of a client are one row; without requests, nothing is written."""
    catalog = Catalog()
    visits = open_visits(catalog)
    note = visits.prepare(VISIT)
    for _ in range(1000):
        note("10.0.0.1")
    visits.prepare(LATER)("10.0.0.1")
    await visits.flush()
    await visits.flush()

    assert [[VisitRow("10.0.0.1", LATER, 7.0)]] == catalog.recorded


async def test_a_catalog_that_refuses_stops_nothing() -> None:
    """What could not be recorded is told again by the next request."""
    catalog = Catalog()
    catalog.is_broken = True
    visits = open_visits(catalog)
    visits.prepare(VISIT)("10.0.0.1")
    await visits.flush()
    catalog.is_broken = False
    visits.prepare(VISIT)("10.0.0.2")
    await visits.flush()

    assert [[VisitRow("10.0.0.2", VISIT, 7.0)]] == catalog.recorded


async def test_what_waits_is_bounded() -> None:
    """Clients with ever new addresses do not fill the memory; those that are noted go on."""
    catalog = Catalog()
    visits = open_visits(catalog)
    note, later = visits.prepare(VISIT), visits.prepare(LATER)
    for number in range(client_visits.MOST_NOTED + 10):
        note(f"client-{number}")
    later("client-0")
    await visits.flush()

    (rows,) = catalog.recorded
    assert len(rows) == client_visits.MOST_NOTED
    assert rows[0].visit == LATER
