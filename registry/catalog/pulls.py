"""Pulls: when an image was pulled last, by whom, and by which name."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, parse_reference, parse_repository


@dataclass(frozen=True, slots=True)
class Pull:
    """What a `client` (an address) asked for and got, and when last (epoch seconds).

    An empty client is one that nobody has written down.
    """

    repository: Repository
    reference: Reference
    digest: Digest
    client: str
    pulled: float


@dataclass(frozen=True, slots=True)
class PullRecords:
    """Pulls, and by manifest what leads to it: indexes that name it, and its subject."""

    pulls: tuple[Pull, ...]
    leading: Mapping[Digest, frozenset[Digest]]


_WARM = """
    WITH RECURSIVE below (digest) AS (
        SELECT ?2 UNION SELECT child FROM below JOIN links ON links.parent = below.digest
    ) UPDATE blobs SET used = MAX(used, ?1) WHERE digest IN (SELECT digest FROM below)
"""
_LEADING = """
    SELECT parent, child FROM links WHERE is_manifest
    UNION ALL SELECT subject, digest FROM manifests WHERE subject IS NOT NULL
"""
_FORGET = """
    DELETE FROM clients WHERE pulled < ? OR NOT EXISTS (
        SELECT 1 FROM holdings AS held
            WHERE held.repository = clients.repository AND held.digest = clients.digest
    )
"""


class PullCatalog:
    """Rows about pulls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, pulls: Sequence[Pull]) -> None:
        """Record who last pulled what and when, and warm all that is in those images."""
        asked = [
            (str(each.digest), str(each.repository), str(each.reference), each.client, each.pulled)
            for each in pulls
        ]
        last: dict[tuple[str, str], float] = {}
        for digest, repository, _, _, pulled in asked:
            last[digest, repository] = max(pulled, last.get((digest, repository), pulled))

        def change(rows: sqlite3.Connection) -> None:
            rows.executemany(
                "INSERT INTO pulls VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
                " SET pulled = MAX(pulled, excluded.pulled)",
                [(*image, pulled) for image, pulled in last.items()],
            )
            rows.executemany(
                "INSERT INTO clients VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET pulled = MAX(pulled, excluded.pulled)",
                asked,
            )
            rows.executemany(_WARM, [(pulled, digest) for (digest, _), pulled in last.items()])

        await self._database.write(change)

    async def read_since(self, moment: float) -> PullRecords:
        """Return the pulls since a moment (epoch seconds), the oldest first.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(lambda rows: _read_since(rows, moment))

    async def forget(self, moment: float) -> int:
        """Forget who pulled before a moment, or what is no longer here; return how many rows."""
        return await self._database.write(lambda rows: rows.execute(_FORGET, (moment,)).rowcount)


def _read_since(rows: sqlite3.Connection, moment: float) -> PullRecords:
    found = rows.execute(
        "SELECT repository, reference, digest, client, pulled FROM clients"
        " WHERE pulled >= ? ORDER BY pulled, repository, reference, client",
        (moment,),
    )
    return PullRecords(
        tuple(
            Pull(parse_repository(where), parse_reference(name), Digest.parse(digest), *rest)
            for where, name, digest, *rest in found
        ),
        _group(rows.execute(_LEADING)),
    )


def _group(pairs: Iterable[tuple[str, str]]) -> dict[Digest, frozenset[Digest]]:
    leading: dict[Digest, set[Digest]] = {}
    for above, below in pairs:
        leading.setdefault(Digest.parse(below), set()).add(Digest.parse(above))
    return {digest: frozenset(above) for digest, above in leading.items()}
