"""When images and blobs were last used, derived from the log of use (`pulls.py`).

The view `last_pulls` is computed from the log each time it is read. `blobs.used` is a stored copy,
because an eviction on a full disk has no time to look at all images first. The functions
`mark_pulled` and `mark_stored` update it.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from registry.catalog.database import Database
from registry.oci.digest import Digest
from registry.oci.names import Repository, parse_repository


@dataclass(frozen=True, slots=True)
class LastUses:
    """When each manifest was last used, and which manifests are used together.

    `last` is the later of two times, in epoch seconds: when the repository got the manifest, and
    when a client last pulled it from the repository. `indexes` are pairs of an index and a manifest
    that the index lists.
    """

    last: dict[tuple[Repository, Digest], float]
    indexes: list[tuple[Digest, Digest]]


# A pull uses the manifest and everything below it.
_MARK_PULLED = """
    WITH RECURSIVE below (digest) AS (
        SELECT ?2 UNION SELECT child FROM below JOIN links ON links.parent = below.digest
    ) UPDATE blobs SET used = MAX(used, ?1) WHERE digest IN (SELECT digest FROM below)
"""
_ABOVE = """
    WITH RECURSIVE above (digest) AS (
        SELECT parent FROM links WHERE child = ?1
        UNION SELECT parent FROM above JOIN links ON links.child = above.digest
    )
"""
# A manifest or an index counts as used when the last of its layers was stored.
_MARK_STORED = f"""
    {_ABOVE} UPDATE blobs SET used = MAX(used, ?2) WHERE digest IN (SELECT digest FROM above)
"""  # noqa: S608 - constants of this file
# A client gets a blob: those of the images that it may be pulling are used too.
_MARK_SENT = f"""
    {_ABOVE}, below (digest) AS (
        SELECT ?1
        UNION SELECT digest FROM pulls
            WHERE repository = ?3 AND pulled > ?4 AND digest IN (SELECT digest FROM above)
        UNION SELECT child FROM below JOIN links ON links.parent = below.digest
    ) UPDATE blobs SET used = MAX(used, ?2) WHERE digest IN (SELECT digest FROM below)
"""  # noqa: S608 - constants of this file
LONGEST_PULL = 3600.0  # seconds after its manifest in which a client may ask for a layer
_FIND_LAST_PULL = f"""
    {_ABOVE} SELECT COALESCE(MAX(pulled), 0.0) FROM pulls
        WHERE digest = ?1 OR digest IN (SELECT digest FROM above)
"""  # noqa: S608 - constants of this file


def mark_pulled(rows: sqlite3.Connection, pulled: Mapping[str, float]) -> None:
    """Mark the blobs of manifests as used; `pulled` are epoch seconds by digest.

    Called in the transaction that records the pulls.
    """
    rows.executemany(_MARK_PULLED, [(moment, digest) for digest, moment in pulled.items()])


def mark_stored(rows: sqlite3.Connection, digest: Digest, now: float) -> None:
    """Mark the manifests that refer to a blob as used; called when the blob is recorded."""
    rows.execute(_MARK_STORED, (str(digest), now))


def mark_sent(rows: sqlite3.Connection, repository: Repository, digest: Digest, now: float) -> None:
    """Mark a blob that a client of `repository` gets as used, and the images that are being pulled.

    These are the images of the repository that contain the blob, and that were pulled within the
    last `LONGEST_PULL` seconds.
    """
    rows.execute(_MARK_SENT, (str(digest), now, str(repository), now - LONGEST_PULL))


def find_last_pull(rows: sqlite3.Connection, digest: Digest) -> float:
    """Return when an image that contains this blob was last pulled (epoch seconds, 0: never)."""
    return float(rows.execute(_FIND_LAST_PULL, (str(digest),)).fetchone()[0])


class LastUsedCatalog:
    """Reads when manifests were last used, for the expiry of images."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_all(self) -> LastUses:
        """Return the last use of every manifest of every repository.

        Raises:
            StoreError: the catalog refused.
        """
        return await self._database.survey(_list_all)


def _list_all(rows: sqlite3.Connection) -> LastUses:
    last = rows.execute(
        "SELECT repository, digest, MAX(seen, COALESCE(pulled, 0))"
        " FROM holdings LEFT JOIN last_pulls USING (repository, digest)"
    )
    indexes = rows.execute("SELECT parent, child FROM links WHERE is_manifest")
    return LastUses(
        {(parse_repository(where), Digest.parse(what)): used for where, what, used in last},
        [(Digest.parse(parent), Digest.parse(child)) for parent, child in indexes],
    )
