"""Which repository may serve which blob.

Bytes are stored once for all repositories. A repository serves only blobs that its manifests refer
to, or that its upstream has confirmed.
"""

from dataclasses import dataclass
from typing import Any

from registry.catalog.database import Database
from registry.oci.digest import Digest
from registry.oci.names import Repository

# Most blobs are in few manifests, so the first query reads the manifests of the blob. A few blobs,
# such as the empty layer, are in nearly all manifests: for them the last query reads the manifests
# of the repository. On the event loop, the first reads at most 64 rows, and the last 256. All
# manifests of a large repository are read in a thread.
_FIND_BY_BLOB = """
    SELECT size FROM (SELECT parent, size FROM links WHERE child = ?1 AND NOT is_manifest LIMIT 64)
        CROSS JOIN holdings ON holdings.digest = parent AND repository = ?2 LIMIT 1
"""
_HAS_MORE_PARENTS = "SELECT 1 FROM links WHERE child = ? AND NOT is_manifest LIMIT 1 OFFSET 64"
_FIND_GRANT = "SELECT size, granted FROM grants WHERE digest = ?1 AND repository = ?2"
_FIND_BY_REPOSITORY = """
    SELECT size FROM (SELECT digest FROM holdings WHERE repository = ?2 LIMIT ?3)
        CROSS JOIN links ON parent = digest AND child = ?1 WHERE NOT is_manifest LIMIT 1
"""
_HAS_MORE_MANIFESTS = "SELECT 1 FROM holdings WHERE repository = ? LIMIT 1 OFFSET 256"
_FEW, _ALL = 256, -1


@dataclass(frozen=True, slots=True)
class BlobAccess:
    """The permission to serve a blob of `size` bytes.

    `granted` is when the upstream last said that the repository has the blob (epoch seconds); None
    if a manifest of the repository refers to it, which needs no grant.
    """

    size: int
    granted: float | None = None


class BlobAccessCatalog:
    """Rows that say which repository may serve which blob; the bytes are in the blob store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.read_version = database.read_version

    async def find(self, repository: Repository, digest: Digest) -> BlobAccess | None:
        """Return the permission of `repository` to serve a blob, with its size; None without one.

        A repository may serve a blob if one of its manifests refers to the blob, or if its upstream
        once said that the repository has the blob (`grant`).
        """
        values = (str(digest), str(repository))
        found = await self._find_manifest(values) or self._database.read(_FIND_GRANT, values)
        return BlobAccess(*found[0]) if found else None

    async def _find_manifest(self, values: tuple[str, str]) -> list[tuple[Any, ...]]:
        """Return the size that a manifest of the repository states, in one row, or no row."""
        rows = self._database.read(_FIND_BY_BLOB, values)
        if rows or not self._database.read(_HAS_MORE_PARENTS, values[:1]):
            return rows
        rows = self._database.read(_FIND_BY_REPOSITORY, (*values, _FEW))
        if not rows and self._database.read(_HAS_MORE_MANIFESTS, values[1:]):
            rows = await self._database.survey(
                lambda catalog: catalog.execute(_FIND_BY_REPOSITORY, (*values, _ALL)).fetchall()
            )
        return rows

    async def grant(self, repository: Repository, digest: Digest, size: int, now: float) -> None:
        """Record that the upstream said at `now` that it has this blob of `size` bytes."""
        await self._database.write(
            lambda rows: rows.execute(
                "INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?)",
                (str(repository), str(digest), size, now),
            )
        )

    async def withdraw(self, repository: Repository, digest: Digest) -> None:
        """Delete the grant, because the upstream does not let the mirror have the blob any more."""
        await self._database.write(
            lambda rows: rows.execute(
                "DELETE FROM grants WHERE repository = ? AND digest = ?",
                (str(repository), str(digest)),
            )
        )
