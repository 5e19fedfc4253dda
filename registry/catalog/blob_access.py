"""Which repository may serve which blob.

Bytes are stored once for all repositories, but a repository serves only blobs that it has itself.
"""

from registry.catalog.database import Database
from registry.oci.digest import Digest
from registry.oci.names import Repository

# Most blobs are in few manifests, so these are looked through first. But some, such as the empty
# layer, are in nearly all manifests; then the manifests of the repository are fewer.
_FIND_BY_BLOB = """
    SELECT size FROM (SELECT parent, size FROM links WHERE child = ?1 AND NOT is_manifest LIMIT 64)
        JOIN holdings ON holdings.digest = parent AND repository = ?2 LIMIT 1
"""
_FIND_GRANT = "SELECT size FROM grants WHERE digest = ?1 AND repository = ?2"
_FIND_BY_REPOSITORY = """
    SELECT size FROM holdings CROSS JOIN links ON parent = holdings.digest AND child = ?1
        WHERE repository = ?2 AND NOT is_manifest LIMIT 1
"""


class BlobAccessCatalog:
    """Rows about who has which blob; the bytes are in the blob store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_size(self, repository: Repository, digest: Digest) -> int | None:
        """Return the size in bytes of a blob, if `repository` may serve it, else None.

        It may if a manifest that it has refers to the blob, or its upstream once said that it has
        the blob (`grant`).
        """
        values = (str(digest), str(repository))
        for query in (_FIND_BY_BLOB, _FIND_GRANT, _FIND_BY_REPOSITORY):
            rows = self._database.read(query, values)
            if rows:
                return int(rows[0][0])
        return None

    async def grant(self, repository: Repository, digest: Digest, size: int) -> None:
        """Record that the upstream said that `repository` has this blob of `size` bytes."""
        await self._database.write(
            lambda rows: rows.execute(
                "INSERT OR REPLACE INTO grants VALUES (?, ?, ?)",
                (str(repository), str(digest), size),
            )
        )
