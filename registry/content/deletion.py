"""Removing images: their names, their manifests, and what nothing else needs."""

from collections.abc import Iterable, Sequence

from registry.catalog.deletion import Deletion, DeletionCatalog, Image, Plan
from registry.catalog.pins import PinCatalog
from registry.catalog.usage import StoredBlobRecord
from registry.content.eviction import Evictor
from registry.errors import ImagePinned
from registry.oci.names import Reference
from registry.store.tags import TagFiles


class ImageDeletion:
    """Plans removals, and carries them out."""

    def __init__(
        self,
        catalog: DeletionCatalog,
        pins: PinCatalog,
        references: TagFiles,
        evictor: Evictor,
    ) -> None:
        self._catalog = catalog
        self._pins = pins
        self._references = references
        self._evictor = evictor

    async def plan(self, images: Iterable[Image]) -> Plan:
        """Say what removing these images one after the other would remove; nothing is changed."""
        return await self._catalog.plan(images)

    async def carry_out(self, removals: Sequence[Deletion]) -> int:
        """Remove, and return how many bytes that freed; but not what is being read.

        Raises:
            ImagePinned: a pin keeps some of it; nothing was removed.
            StoreError, OSError: the disk or the catalog refused. Removing again ends what was
                begun; blobs that nothing refers to any more may wait until room is wanted.
        """
        await self._refuse_pinned(removals)  # again: it may have been pinned since it was planned
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

    async def _refuse_pinned(self, removals: Sequence[Deletion]) -> None:
        """Raise ImagePinned when a pin of its repository keeps any of it."""
        keepers = await self._pins.find_keepers({removal.repository for removal in removals})
        for removal in removals:
            tags, manifests = (tag.name for tag in removal.tags), map(str, removal.manifests)
            pin = keepers.find(removal.repository, tags, manifests)
            if pin is not None:
                raise ImagePinned(pin)
