"""What we know of blobs: who may have which, and which are stored."""

from registry.catalog.database import Database
from registry.oci.digest import Digest
from registry.oci.names import Repository


class BlobCatalog:
    """Rows about blobs; the bytes are in the blob store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_size(self, repository: Repository, digest: Digest) -> int | None:
        """Return the size in bytes of a blob that `repository` is known to have.

        None means that no manifest known for this repository refers to it, and that its upstream
        was never heard to say it has it: others may hold the bytes, this repository may not.
        """
        values = (str(digest), str(repository))
        rows = self._database.read(
            "SELECT size FROM links JOIN holdings ON holdings.digest = links.parent"
            " WHERE child = ? AND NOT is_manifest AND repository = ? LIMIT 1",
            values,
        ) or self._database.read(
            "SELECT size FROM grants WHERE digest = ? AND repository = ?", values
        )
        return int(rows[0][0]) if rows else None

    async def grant(self, repository: Repository, digest: Digest, size: int) -> None:
        """Record that the upstream says `repository` has this blob."""
        await self._database.write(
            lambda rows: rows.execute(
                "INSERT OR REPLACE INTO grants VALUES (?, ?, ?)",
                (str(repository), str(digest), size),
            )
        )
