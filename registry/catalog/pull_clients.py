"""Which clients have pulled, and who has pulled an image: read from the log of use (`pulls.py`)."""

from dataclasses import dataclass

from registry.catalog.database import Database


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client: its address, how many tags it has pulled, and what it pulled last, and when.

    `pulled` is in epoch seconds. `repository` and `reference` are of the last pull.
    """

    client: str
    pulled: float
    repository: str
    reference: str
    names: int


@dataclass(frozen=True, slots=True)
class ImagePull:
    """When a client last pulled an image by a tag or digest (epoch seconds).

    `client` is empty if no address was recorded.
    """

    client: str
    reference: str
    pulled: float


# SQLite takes the other columns of a group from the row with the maximum. A client asks for the
# manifests below a tag by their digests a moment later: the tag is what it has pulled.
_CLIENTS = """
    SELECT client, pulled, repository, reference, names FROM (
        SELECT client, pulled, repository, reference,
            SUM(reference NOT LIKE '%:%') AS names,
            MAX(pulled + CASE WHEN reference LIKE '%:%' THEN 0 ELSE 60 END)
            FROM pulls WHERE client != '' AND (?1 = '' OR instr(client, ?1)) GROUP BY client
    ) WHERE (-pulled, client) > (?2, ?3) ORDER BY pulled DESC, client LIMIT ?4
"""
_LAST = "SELECT COALESCE(MAX(pulled), 0.0) FROM pulls WHERE client = ?"
_OF_IMAGE = """
    SELECT client, reference, MAX(pulled) FROM pulls
        WHERE digest = ? AND repository = ? AND (reference, client) != ('', '')
        GROUP BY client ORDER BY 3 DESC LIMIT ?
"""
_COUNT = "SELECT COUNT(DISTINCT client) FROM pulls WHERE client != '' AND pulled >= ?"


class PullClientCatalog:
    """Reads who pulls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_page(self, text: str, after: tuple[float, str], most: int) -> list[ClientRow]:
        """Return the next `most` clients whose address contains `text`, the latest first.

        They come after the client that pulled at `after[0]` (infinity: from the first one on).

        Raises:
            StoreError: the catalog refused.
        """
        values = (text, -after[0], after[1], most)
        return await self._database.survey(
            lambda rows: [ClientRow(*row) for row in rows.execute(_CLIENTS, values)]
        )

    async def find_last(self, client: str) -> float:
        """Return when a client last pulled anything (epoch seconds, 0: never).

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(
            lambda rows: float(rows.execute(_LAST, (client,)).fetchone()[0])
        )

    async def list_pulls(self, repository: str, digest: str, most: int) -> list[ImagePull]:
        """Return who has pulled a manifest from a repository, the latest first.

        Raises:
            StoreError: the catalog refused.
        """
        values = (digest, repository, most)
        return await self._database.survey(
            lambda rows: [ImagePull(*row) for row in rows.execute(_OF_IMAGE, values)]
        )

    async def count_since(self, moment: float) -> int:
        """Return how many clients have pulled since a moment (epoch seconds).

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(
            lambda rows: int(rows.execute(_COUNT, (moment,)).fetchone()[0])
        )
