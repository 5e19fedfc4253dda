"""What we know of blobs: who may have which, and which are stored."""

from registry.catalog.database import Database
from registry.oci.digest import Digest
from registry.oci.names import Repository

# Most blobs are in few images; but the empty layer, say, is in nearly all, and then it is the
# repository's manifests that are few.
_NEAR = """
    SELECT size FROM (SELECT parent, size FROM links WHERE child = ?1 AND NOT is_manifest LIMIT 64)
        JOIN holdings ON holdings.digest = parent AND repository = ?2 LIMIT 1
"""
_GRANTED = "SELECT size FROM grants WHERE digest = ?1 AND repository = ?2"
_FAR = """
    SELECT size FROM holdings CROSS JOIN links ON parent = holdings.digest AND child = ?1
        WHERE repository = ?2 AND NOT is_manifest LIMIT 1
"""


class BlobAccessCatalog:
    """Rows about blobs; the bytes are in the blob store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_size(self, repository: Repository, digest: Digest) -> int | None:
        """Return the size in bytes of a blob that `repository` is known to have.

        None means that no manifest known for this repository refers to it, and that its upstream
        was never heard to say it has it: others may hold the bytes, this repository may not.
        """
        values = (str(digest), str(repository))
        for query in (_NEAR, _GRANTED, _FAR):
            rows = self._database.read(query, values)
            if rows:
                return int(rows[0][0])
        return None

    async def grant(self, repository: Repository, digest: Digest, size: int) -> None:
        """Record that the upstream says `repository` has this blob."""
        await self._database.write(
            lambda rows: rows.execute(
                "INSERT OR REPLACE INTO grants VALUES (?, ?, ?)",
                (str(repository), str(digest), size),
            )
        )
