"""Which blobs were found damaged, and have not been stored again since."""

from registry.catalog.database import Database
from registry.oci.digest import Digest

# A damaged blob has no row in `blobs` from the moment it is quarantined until it is stored again.
_IS_DAMAGED = """
    SELECT 1 FROM quarantine WHERE digest = ?1
        AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = ?1)
"""


class DamageCatalog:
    """Reads the rows of quarantined blobs; `UsageCatalog` writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_damaged(self, digest: Digest) -> bool:
        """Whether a blob is quarantined, or is to be, and is not recorded as stored.

        Raises:
            StoreError: the catalog refused.
        """
        return bool(self._database.read(_IS_DAMAGED, (str(digest),)))
