"""Removing images: their names, their manifests, and what nothing else needs."""

from collections.abc import Iterable

from registry.catalog.pins import PinCatalog
from registry.catalog.removal import Removal, RemovalCatalog
from registry.catalog.room import StoredBlobRecord
from registry.errors import ImagePinned
from registry.mirror.evictor import Evictor
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag
from registry.store.references import ReferenceFiles


class Removals:
    """Plans removals, and carries them out."""

    def __init__(
        self,
        catalog: RemovalCatalog,
        pins: PinCatalog,
        references: ReferenceFiles,
        evictor: Evictor,
    ) -> None:
        self._catalog = catalog
        self._pins = pins
        self._references = references
        self._evictor = evictor

    async def plan(self, repository: Repository, tags: Iterable[Tag]) -> Removal:
        """Say what removing these tags would remove; nothing is changed."""
        return await self._catalog.plan(repository, tags)

    async def plan_manifest(self, repository: Repository, digest: Digest) -> Removal:
        """Say what removing a manifest and all its tags would remove; nothing is changed."""
        return await self._catalog.plan_manifest(repository, digest)

    async def plan_all(self, images: Iterable[tuple[Repository, Reference]]) -> list[Removal]:
        """Say what removing these images one after the other would remove; nothing is changed."""
        return await self._catalog.plan_all(images)

    async def refuse_pinned(self, removal: Removal) -> None:
        """Raise ImagePinned when a pin of this repository keeps any of it."""
        pin = await self._pins.find_keeper(removal.repository, removal.tags, removal.manifests)
        if pin is not None:
            raise ImagePinned(pin.name)

    async def carry_out(self, removal: Removal) -> int:
        """Remove, and return how many bytes that freed; but not what is being read.

        Raises:
            ImagePinned: a pin keeps some of it; nothing was removed.
            StoreError, OSError: the disk or the catalog refused. Removing again ends what was
                begun; blobs that nothing refers to any more may wait until room is wanted.
        """
        await self.refuse_pinned(removal)
        # The files first: they are the truth, from which a row would be made again.
        gone: list[Reference] = [*removal.tags, *removal.manifests]
        for reference in gone:
            await self._references.remove(removal.repository, reference)
        await self._catalog.apply(removal)
        unneeded = await self._catalog.list_unneeded(removal)
        return await self._evictor.delete(
            StoredBlobRecord(digest, removal.blobs[digest], 0.0) for digest in unneeded
        )
