"""What operators do with images in the console: keep, remove, download, roll back."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from registry.content.deletion import ImageDeletion
from registry.content.images import Images
from registry.content.tag_control import TagControl
from registry.errors import EntrepotError, ImagePinned, UpstreamOffline
from registry.logs import get_logger
from registry.mirror.prefetch import Prefetcher
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag, format_image
from registry.oci.platforms import own_platform
from registry.tasks import Tasks

Image = tuple[Repository, Reference]
OpenPrefetcher = Callable[[], AbstractAsyncContextManager[Prefetcher]]
MOST_FETCHES = 4  # images that are downloaded at the same time for operators
_MOST_NAMED = 20  # images whose names the log has, of those that were changed together


class OperatorActions:
    """Carries out actions; what takes long goes on in the background, and the log tells the end."""

    def __init__(
        self,
        images: Images,
        deletion: ImageDeletion,
        control: TagControl,
        open_prefetcher: OpenPrefetcher,
        tasks: Tasks,
        *,
        is_offline: bool,
    ) -> None:
        self._images = images
        self._deletion = deletion
        self._control = control
        self._open_prefetcher = open_prefetcher
        self._tasks = tasks
        self._is_offline = is_offline
        self._fetching: set[str] = set()
        self._log = get_logger("registry.mirror").bind()

    async def pin(self, repository: Repository, reference: Reference) -> None:
        """Keep an image, with all its platforms, until it is unpinned.

        Raises:
            ImageUnknown: it is not stored here.
            StoreError: the catalog or the disk refused.
        """
        await self._images.pin(await self._images.plan_pins([(repository, reference)], []))
        self._log.info("image pinned", image=format_image(repository, reference))

    async def unpin(self, repository: Repository, reference: Reference) -> None:
        """Remove the pin of an image, if there is one.

        Raises:
            StoreError: the catalog or the disk refused.
        """
        if await self._images.unpin([(repository, reference)]):
            self._log.info("image unpinned", image=format_image(repository, reference))

    async def remove(self, repository: Repository, reference: Reference) -> int:
        """Remove an image, and the blobs that no other image needs; return how many bytes it freed.

        Raises:
            ImagePinned: a pin keeps it.
            StoreError, OSError: the catalog or the disk refused.
        """
        name = format_image(repository, reference)
        plan = await self._deletion.plan([(repository, reference)])
        for pin in plan.refused.values():
            raise ImagePinned(pin, name)
        freed = await self._deletion.carry_out(plan.removals)
        self._log.info("image removed", image=name, freed=freed)
        return freed

    async def pin_all(self, images: Sequence[Image]) -> None:
        """Keep several images until they are unpinned.

        Raises:
            ImageUnknown: one of them is not stored here; none was pinned.
            StoreError: the catalog or the disk refused.
        """
        await self._images.pin(await self._images.plan_pins(images, []))
        self._log.info("images pinned", count=len(images), images=_name_some(images))

    async def unpin_all(self, images: Sequence[Image]) -> None:
        """Remove the pins of several images, as far as there are any.

        Raises:
            StoreError: the catalog or the disk refused.
        """
        count = await self._images.unpin(images)
        self._log.info("images unpinned", count=count, images=_name_some(images))

    async def remove_all(self, images: Sequence[Image]) -> int:
        """Remove several images, apart from those that a pin keeps; return how many bytes it freed.

        Raises:
            ImagePinned: one of them was pinned at this moment; nothing was removed.
            StoreError, OSError: the catalog or the disk refused.
        """
        plan = await self._deletion.plan(images)
        freed = await self._deletion.carry_out(plan.removals)
        removed = [image for image in images if image not in plan.refused]
        names = _name_some(removed)
        self._log.info("images removed", count=len(removed), freed=freed, images=names)
        return freed

    async def roll_back(self, repository: Repository, tag: Tag, digest: Digest) -> None:
        """Let a tag serve an image that is stored here, until `release`.

        Raises:
            ImageUnknown: the tag is not known, or the manifest is not stored.
            StoreError, OSError: the disk or the catalog refused.
        """
        await self._control.roll_back(repository, tag, digest)
        self._log.info("tag rolled back", image=format_image(repository, tag), digest=str(digest))

    async def release(self, repository: Repository, tag: Tag, digest: Digest | None) -> None:
        """Serve an image before it is old enough; or, without a digest, end a rollback.

        Raises:
            ImageUnknown, NotRolledBack, DigestNotSeen: there is nothing to release.
            StoreError, OSError: the disk or the catalog refused.
        """
        name = format_image(repository, tag)
        if digest is None:
            await self._control.end_rollback(repository, tag)
            self._log.info("rollback ended", image=name)
            return
        await self._control.release(repository, tag, digest)
        self._log.info("image released", image=name, digest=str(digest))

    async def fetch(
        self, repository: Repository, reference: Reference, platforms: Sequence[str]
    ) -> bool:
        """Begin to ask the upstream what a name means now, and to download what is missing.

        Without `platforms`, these are the platforms that are stored or pinned, or else that of this
        machine. Returns whether the download has begun: not if it is running, or others are.

        Raises:
            UpstreamOffline: no upstream is asked.
        """
        if self._is_offline:
            raise UpstreamOffline(repository.registry)
        name = format_image(repository, reference)
        if name in self._fetching or len(self._fetching) >= MOST_FETCHES:
            return False
        self._fetching.add(name)
        self._tasks.start(self._fetch(repository, reference, list(platforms)))
        return True

    async def _fetch(
        self, repository: Repository, reference: Reference, platforms: list[str]
    ) -> None:
        name = format_image(repository, reference)
        try:
            wanted = platforms or await self._choose_platforms(repository, reference)
            async with self._open_prefetcher() as prefetcher:
                found = await prefetcher.warm(repository, reference, wanted)
            failures = found.failures
            if not failures:
                await self._move_pin(repository, reference)
                self._log.info("image downloaded", image=name, bytes=found.fetched)
        except EntrepotError as error:
            failures = [str(error)]
        finally:
            self._fetching.discard(name)
        if failures:
            self._log.warning("image not downloaded", image=name, why="; ".join(failures))

    async def _choose_platforms(self, repository: Repository, reference: Reference) -> list[str]:
        pinned = [
            root.platform
            for pin in self._images.list_pins()
            if (pin.repository, pin.reference) == (repository, reference)
            for root in pin.roots
        ]
        stored = await self._images.list_complete(repository, reference)
        return sorted({*stored, *pinned} - {""}) or [own_platform()]

    async def _move_pin(self, repository: Repository, reference: Reference) -> None:
        """If the name is pinned, pin the image that it leads to now, for the same platforms."""
        for pin in self._images.list_pins():
            if (pin.repository, pin.reference) == (repository, reference):
                platforms = {root.platform for root in pin.roots if root.is_deep} - {""}
                name = [(repository, reference)]
                planned = await self._images.plan_pins(name, sorted(platforms))
                await self._images.pin(planned)


def _name_some(images: Sequence[Image]) -> str:
    names = ", ".join(format_image(*each) for each in images[:_MOST_NAMED])
    return names if len(images) <= _MOST_NAMED else f"{names}, …"
