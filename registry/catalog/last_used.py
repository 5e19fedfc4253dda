"""When what repositories have was last of use to anybody."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.oci.digest import Digest
from registry.oci.names import Repository, parse_repository


@dataclass(frozen=True, slots=True)
class LastUses:
    """`last` is when a repository's manifest was first seen or last pulled (epoch seconds).

    `families` are pairs of an index and one of its manifests.
    """

    last: dict[tuple[Repository, Digest], float]
    families: list[tuple[Digest, Digest]]


class LastUsedCatalog:
    """Reads everything; for the steward, not for pulls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_all(self) -> LastUses:
        """Return the last use of every manifest of every repository.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(_list_all)

    def find_last_pull(self, repository: Repository, manifests: Iterable[Digest]) -> float:
        """Return when any of these was last pulled from a repository; 0 when none ever was."""
        query = "SELECT pulled FROM pulls WHERE digest = ? AND repository = ?"
        pulled = [
            row[0]
            for digest in manifests
            for row in self._database.read(query, (str(digest), str(repository)))
        ]
        return max(pulled, default=0.0)


def _list_all(rows: sqlite3.Connection) -> LastUses:
    last = rows.execute(
        "SELECT repository, digest, MAX(seen, COALESCE(pulled, 0))"
        " FROM holdings LEFT JOIN pulls USING (repository, digest)"
    )
    families = rows.execute("SELECT parent, child FROM links WHERE is_manifest")
    return LastUses(
        {(parse_repository(where), Digest.parse(what)): used for where, what, used in last},
        [(Digest.parse(parent), Digest.parse(child)) for parent, child in families],
    )
