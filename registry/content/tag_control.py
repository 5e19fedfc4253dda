"""What operators decide about tags: they roll them back, and release images that are too new."""

from collections.abc import Callable

from registry.catalog.tag_hold import TagHold
from registry.content.images import Images
from registry.content.manifests import ManifestStore
from registry.content.tag_history import KnownTag
from registry.errors import DigestNotSeen, ImageUnknown, NotRolledBack
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Repository, Tag, format_image
from registry.store.tag_history import TagHistory


class TagControl:
    """Changes the history of a tag first, and its row in the catalog second.

    Running servers see the row within a second, and then decide again what the tag serves.
    """

    def __init__(self, store: ManifestStore, images: Images, clock: Callable[[], float]) -> None:
        self._store = store
        self._images = images
        self._clock = clock

    async def read(self, repository: Repository, tag: Tag) -> KnownTag:
        """Return what is known of a tag.

        Raises:
            ImageUnknown: nothing is.
            StoreError: the disk refused.
        """
        known = await self._store.histories.read(repository, tag)
        if known.target is None and known.history == TagHistory():
            raise ImageUnknown(format_image(repository, tag))
        return known

    async def find(self, repository: Repository, digest: Digest) -> Manifest | None:
        """Return a manifest of a repository that is stored; None if it is not.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        media_type = self._store.catalog.find_held(repository, digest)
        return await self._store.recall(digest, media_type) if media_type else None

    async def roll_back(self, repository: Repository, tag: Tag, digest: Digest) -> None:
        """Let a tag serve `digest` until `end_rollback`, and keep this image from eviction.

        Raises:
            ImageUnknown: the tag is not known, or the manifest is not stored.
            StoreError, OSError: the disk or the catalog refused; do it again.
        """
        await self.read(repository, tag)
        manifest = await self.find(repository, digest)
        if manifest is None:
            raise ImageUnknown(format_image(repository, digest))
        has_pin = await self._pin(repository, digest)
        async with self._store.histories.hold(repository, tag):
            former = (await self.read(repository, tag)).history
            is_same = former.rolled_back_to == str(digest)
            has_pin = has_pin or (is_same and former.has_pin)
            history = former.roll_back(str(digest), self._clock(), has_pin=has_pin)
            await self._store.histories.write(repository, tag, history)
        if not is_same:
            await self._unpin(repository, former)
        await self._store.put_names(repository, manifest, tag, self._clock())

    async def end_rollback(self, repository: Repository, tag: Tag) -> Digest:
        """Let a tag follow its upstream again; return the digest that it was rolled back to.

        Raises:
            ImageUnknown: the tag is not known.
            NotRolledBack: it is not rolled back.
            StoreError, OSError: the disk or the catalog refused; do it again.
        """
        async with self._store.histories.hold(repository, tag):
            former = (await self.read(repository, tag)).history
            if not former.rolled_back_to:
                raise NotRolledBack(format_image(repository, tag))
            await self._store.histories.write(repository, tag, former.end_rollback())
            served = Digest.parse(former.rolled_back_to)
            hold = TagHold(due=self._clock())
            await self._store.catalog.hold_tag(repository, tag, served, hold)
        await self._unpin(repository, former)
        return served

    async def release(self, repository: Repository, tag: Tag, digest: Digest) -> KnownTag:
        """Let a tag serve `digest` although it is not known for long enough.

        Returns what is known of the tag, which may have been rolled back, or lead to another image
        upstream.

        Raises:
            ImageUnknown: the tag is not known.
            DigestNotSeen: the tag has never led to the digest.
            StoreError: the disk or the catalog refused; do it again.
        """
        async with self._store.histories.hold(repository, tag):
            known = await self.read(repository, tag)
            if known.history.find(str(digest)) is None:
                raise DigestNotSeen(format_image(repository, tag), str(digest))
            now = self._clock()
            history = known.history.release(str(digest), now)
            await self._store.histories.write(repository, tag, history)
            if known.served is not None and not history.rolled_back_to:
                hold = TagHold(due=now)
                await self._store.catalog.hold_tag(repository, tag, known.served, hold)
        return KnownTag(history, known.target)

    async def _pin(self, repository: Repository, digest: Digest) -> bool:
        """Pin an image by its digest, unless it is; return whether this has pinned it."""
        names = {(pin.repository, pin.reference) for pin in self._images.list_pins()}
        if (repository, digest) in names:
            return False
        await self._images.pin(await self._images.plan_pins([(repository, digest)], []))
        return True

    async def _unpin(self, repository: Repository, former: TagHistory) -> None:
        """Remove the pin that the former rollback of a tag has made, if it has made one."""
        if former.has_pin and former.rolled_back_to:
            await self._images.unpin([(repository, Digest.parse(former.rolled_back_to))])
