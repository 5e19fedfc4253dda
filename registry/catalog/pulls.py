"""The log of use: which client pulled which image by which name, and when it last did.

It is the only record of pulls. `last_used.py` computes from it when an image was last pulled, and
in which order blobs are evicted.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.catalog.last_used import mark_pulled, mark_sent
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, parse_reference, parse_repository


@dataclass(frozen=True, slots=True)
class Pull:
    """The last time that a client pulled `digest` by the name `reference` (epoch seconds).

    `client` is the address of the client; empty if no address was recorded.
    """

    repository: Repository
    reference: Reference
    digest: Digest
    client: str
    pulled: float


@dataclass(frozen=True, slots=True)
class BlobUse:
    """The last time that a client got a blob of a repository (epoch seconds)."""

    repository: Repository
    digest: Digest
    used: float


@dataclass(frozen=True, slots=True)
class PullRecords:
    """Pulls, and the `parents` of each manifest: the indexes that list it, and its subject."""

    pulls: tuple[Pull, ...]
    parents: Mapping[Digest, frozenset[Digest]]


_LIST_PARENTS = """
    SELECT parent, child FROM links WHERE is_manifest
    UNION ALL SELECT subject, digest FROM manifests WHERE subject IS NOT NULL
"""
_RECORD = """
    INSERT INTO pulls VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET pulled = MAX(pulled, excluded.pulled)
"""
# After name and client of a pull are deleted, the row still says when the image was pulled.
_KEEP_TIMES = """
    INSERT INTO pulls
        SELECT digest, repository, '', '', MAX(pulled) FROM pulls WHERE pulled < ?1
            GROUP BY digest, repository
        ON CONFLICT DO UPDATE SET pulled = MAX(pulled, excluded.pulled)
"""
_FORGET_OLD = "DELETE FROM pulls WHERE pulled < ?1 AND (reference, client) != ('', '')"
_FORGET_VISITS = "DELETE FROM client_visits WHERE seen < ?1"
_FORGET_DELETED = """
    DELETE FROM pulls WHERE NOT EXISTS (
        SELECT 1 FROM holdings AS held
            WHERE held.repository = pulls.repository AND held.digest = pulls.digest
    )
"""
_FIND_EXCESS = """
    SELECT pulled FROM pulls WHERE (reference, client) != ('', '')
        ORDER BY pulled DESC LIMIT 1 OFFSET ?
"""
MOST_RECORDS = 250_000  # names and clients; clients with ever new addresses could fill the disk
_TRIM_AFTER = 10_000  # records between two searches for records beyond these
_LIST_SINCE = """
    SELECT repository, reference, digest, client, pulled FROM pulls
        WHERE pulled >= ? AND reference != '' ORDER BY pulled, repository, reference, client
"""
_COUNT_CLIENTS = "SELECT COUNT(DISTINCT client) FROM pulls WHERE pulled >= ? AND client != ''"


class PullCatalog:
    """Rows of the log of use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._untrimmed = 0

    async def record(self, pulls: Sequence[Pull], blobs: Sequence[BlobUse] = ()) -> None:
        """Record pulls, and mark all blobs of the pulled images as used at that time.

        `blobs` are marked as used too, with those of the images that are being pulled. If there are
        more than `MOST_RECORDS`, names and clients of the oldest pulls are deleted.

        Raises:
            StoreError: the catalog refused.
        """
        values = [
            (str(each.digest), str(each.repository), str(each.reference), each.client, each.pulled)
            for each in pulls
        ]
        last: dict[str, float] = {}
        for digest, *_, pulled in values:
            last[digest] = max(pulled, last.get(digest, pulled))

        self._untrimmed += len(values)
        is_to_be_trimmed = self._untrimmed >= _TRIM_AFTER

        def change(rows: sqlite3.Connection) -> None:
            rows.executemany(_RECORD, values)
            mark_pulled(rows, last)
            for blob in blobs:
                mark_sent(rows, blob.repository, blob.digest, blob.used)
            excess = None
            if is_to_be_trimmed:
                excess = rows.execute(_FIND_EXCESS, (MOST_RECORDS,)).fetchone()
            if excess is not None:
                _forget_before(rows, excess[0])

        await self._database.write(change)
        if is_to_be_trimmed:
            self._untrimmed = 0

    async def read_since(self, moment: float) -> PullRecords:
        """Return the pulls since a moment (epoch seconds), the oldest first.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(lambda rows: _read_since(rows, moment))

    async def count(self, moment: float) -> tuple[int, int]:
        """Return how many clients have pulled since a moment (epoch seconds), and all tags.

        Raises:
            StoreError: the catalog refused.
        """

        def look(rows: sqlite3.Connection) -> tuple[int, int]:
            (clients,) = rows.execute(_COUNT_CLIENTS, (moment,)).fetchone()
            (tags,) = rows.execute("SELECT COUNT(*) FROM tags").fetchone()
            return clients, tags

        return await self._database.survey(look)

    async def forget(self, moment: float) -> None:
        """Delete names and clients of pulls before a moment (epoch seconds); their times are kept.

        Pulls of images that the repository does not have any more are deleted entirely.

        Raises:
            StoreError: the catalog refused.
        """

        def change(rows: sqlite3.Connection) -> None:
            rows.execute(_FORGET_DELETED)
            rows.execute(_FORGET_VISITS, (moment,))
            _forget_before(rows, moment)

        await self._database.write(change)


def _forget_before(rows: sqlite3.Connection, moment: float) -> None:
    rows.execute(_KEEP_TIMES, (moment,))
    rows.execute(_FORGET_OLD, (moment,))


def _read_since(rows: sqlite3.Connection, moment: float) -> PullRecords:
    found = rows.execute(_LIST_SINCE, (moment,))
    return PullRecords(
        tuple(
            Pull(parse_repository(where), parse_reference(name), Digest.parse(digest), *rest)
            for where, name, digest, *rest in found
        ),
        _group(rows.execute(_LIST_PARENTS)),
    )


def _group(pairs: Iterable[tuple[str, str]]) -> dict[Digest, frozenset[Digest]]:
    """Return the parents of each manifest, from pairs of a parent and a child."""
    parents: dict[Digest, set[Digest]] = {}
    for parent, child in pairs:
        parents.setdefault(Digest.parse(child), set()).add(Digest.parse(parent))
    return {digest: frozenset(each) for digest, each in parents.items()}
