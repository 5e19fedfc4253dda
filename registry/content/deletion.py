"""Removing images: their names, their manifests, and what nothing else needs."""

from collections.abc import Iterable, Sequence

from registry.catalog.deletion import Deletion, DeletionCatalog, Image, Plan
from registry.catalog.usage import StoredBlobRecord
from registry.content.eviction import Evictor
from registry.content.pins import PINS
from registry.oci.names import Reference
from registry.store.file_locks import ExclusiveLocks
from registry.store.tags import TagFiles


class ImageDeletion:
    """Plans removals, and carries them out."""

    def __init__(
        self,
        catalog: DeletionCatalog,
        references: TagFiles,
        evictor: Evictor,
        locks: ExclusiveLocks,
    ) -> None:
        self._catalog = catalog
        self._references = references
        self._evictor = evictor
        self._locks = locks

    async def plan(self, images: Iterable[Image]) -> Plan:
        """Say what removing these images one after the other would remove; nothing is changed."""
        return await self._catalog.plan(images)

    async def carry_out(self, removals: Sequence[Deletion]) -> int:
        """Remove, and return how many bytes that freed; but not what is being read.

        Raises:
            ImagePinned: a pin keeps some of it; nothing was removed.
            StoreError, OSError: the disk or the catalog refused, or another process has held the
                lock of pins for too long. Removing again ends what was begun; blobs
                that nothing refers to any more may wait until room is wanted.
        """
        # No pin can be put until the rows are gone: else the files of a pinned image would be gone.
        async with self._locks.hold(PINS):
            await self._catalog.check(removals)  # a pin may have come since they were planned
            for removal in removals:
                # The files first: they are the truth, from which a row would be made again.
                gone: list[Reference] = [*removal.tags, *removal.manifests]
                for reference in gone:
                    await self._references.remove(removal.repository, reference)
                await self._catalog.apply(removal)
        unneeded = await self._catalog.list_unneeded(removals)
        return await self._evictor.delete(
            StoredBlobRecord(digest, size, 0.0) for digest, size in unneeded.items()
        )
