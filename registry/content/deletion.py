"""Removing images: their names, their manifests, and the blobs that no other image needs."""

from collections.abc import Callable, Iterable, Sequence

from registry.catalog.deletion import Deletion, DeletionCatalog, Image, Plan
from registry.content.eviction import Evictor
from registry.content.pins import PINS
from registry.oci.names import Reference, Repository, Tag
from registry.store.file_locks import ExclusiveLocks
from registry.store.tags import TagFiles, TagTarget


class ImageDeletion:
    """Plans removals of images, and carries them out."""

    def __init__(
        self,
        catalog: DeletionCatalog,
        tags: TagFiles,
        evictor: Evictor,
        locks: ExclusiveLocks,
        keeps_history: Callable[[Repository, Tag], bool] = lambda *_: False,
    ) -> None:
        """`keeps_history` says whether the history of a tag stays when its image expires."""
        self._catalog = catalog
        self._tags = tags
        self._evictor = evictor
        self._locks = locks
        self._keeps_history = keeps_history

    async def plan(self, images: Iterable[Image]) -> Plan:
        """Return what would be deleted if these images were removed, one after the other."""
        return await self._catalog.plan(images)

    async def carry_out(self, removals: Sequence[Deletion]) -> int:
        """Remove images, and return how many bytes that freed; blobs that are being read stay.

        Blobs that are used by an image again, after its rows were deleted, stay too.

        Raises:
            ImagePinned: a pin keeps something that would be deleted; nothing was removed.
            StoreError, OSError: the disk or the catalog refused, or another process has held the
                lock of pins for too long. Another removal of the same images completes this one.
                Blobs that no manifest refers to may stay until they are evicted.
        """
        # The lock keeps out new pins, which could find rows whose files are already deleted.
        async with self._locks.hold(PINS):
            await self._catalog.check(removals)  # a pin may have been put after the planning
            for removal in removals:
                # The files first: if they stayed, a rebuild would make the rows again.
                for reference in _list_names(removal):
                    await self._tags.remove(removal.repository, reference)
                await self._catalog.apply(removal)
        return await self._evictor.delete(await self._catalog.list_unneeded(removals))

    async def expire(self, removal: Deletion, unpulled_since: float, now: float) -> int:
        """Remove an image if no client has pulled it after `unpulled_since` (epoch seconds).

        Returns how many bytes that freed. Tag files that were written after `now` stay. Unlike an
        image that an operator removes, this one may leave the histories of its tags: otherwise they
        would count as never seen, and serve at once what their upstream leads them to next.

        Raises:
            ImageInUse: a client has pulled it; nothing was removed.
            ImagePinned, StoreError, OSError: as for `carry_out`.
        """
        async with self._locks.hold(PINS):
            # The rows first, since only their transaction knows whether a client pulls the image at
            # this moment. If a crash leaves the files, the image expires once more.
            await self._catalog.apply(removal, unpulled_since)
            for reference in _list_names(removal):
                target = await self._tags.read(removal.repository, reference)
                if target is not None and target.seen < now:
                    await self._forget(removal.repository, reference, target)
        return await self._evictor.delete(await self._catalog.list_unneeded([removal]))

    async def _forget(
        self, repository: Repository, reference: Reference, target: TagTarget
    ) -> None:
        """Delete the name of an expired image; what its tag has served is written down before."""
        is_kept = isinstance(reference, Tag) and self._keeps_history(repository, reference)
        if isinstance(reference, Tag) and is_kept:
            history = await self._tags.read_history(repository, reference)
            history = history.mark_served(target.digest, target.seen)
            await self._tags.write_history(repository, reference, history)
        await self._tags.remove(repository, reference, with_history=not is_kept)


def _list_names(removal: Deletion) -> list[Reference]:
    return [*removal.tags, *removal.manifests]
