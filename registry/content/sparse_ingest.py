"""How a blob comes into the store whose parts come in any order, from several volumes."""

from collections.abc import Iterable

from registry.content.destination import Destination, Stored
from registry.content.open_ingest import OpenIngest
from registry.oci.digest import Digest
from registry.store.sparse import SparsePartial
from registry.tasks import in_thread


class SparseIngest(OpenIngest[SparsePartial]):
    """The ingest of one blob whose parts come in any order; readers cannot follow it."""

    def __init__(
        self, digest: Digest, writer: SparsePartial, destination: Destination, size: int
    ) -> None:
        super().__init__(digest, writer, destination)
        self._size = size

    @property
    def missing(self) -> int:
        """How many bytes of the blob are missing."""
        return self._writer.missing

    async def add(self, start: int, check: Digest, pieces: Iterable[bytes]) -> int:
        """Write a part that begins at byte `start`; return how many of its bytes were missing.

        Raises:
            DigestMismatch: the digest of the part is not `check`; none of its bytes are kept.
            StoreError: there is too little space, or the disk refused.
        """
        await self._reserve(self._size)
        return await in_thread(self._writer.add, start, check, pieces)

    async def commit(self) -> Stored:
        """Verify the blob, of which no byte may be missing, store it, and end the ingest.

        Raises:
            DigestMismatch: the parts together do not have the blob's digest; all were deleted.
            StoreError: the disk refused; the ingest has not ended.
        """
        return await self._publish(await in_thread(self._writer.seal))
