"""Importing a bundle: first the bytes, each checked; then manifests; then names."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

from registry.bundle.format.lock import Lock
from registry.bundle.load.blobs import BlobLoader, LoadedBlobs
from registry.bundle.load.decision import ImageDecider, find_move
from registry.bundle.load.import_log import ImportLog
from registry.bundle.load.preview import preview_blobs
from registry.bundle.load.result import ImageDecision, Imported, Moved
from registry.bundle.load.views import ContentView, StoredView
from registry.bundle.read.head import Opened
from registry.content.content import Content
from registry.content.manifests import ManifestStore
from registry.errors import BundleInvalid, StoreError
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.names import Tag


class Importer:
    """Imports bundles into a data folder, which servers may be using; repeating one is harmless."""

    def __init__(
        self,
        content: Content,
        manifest_store: ManifestStore,
        log: ImportLog,
        clock: Callable[[], float],
    ) -> None:
        """`log` has the order of the imports into this data folder."""
        self._content = content
        self._manifest_store = manifest_store
        self._log = log
        self._clock = clock
        self._view = StoredView(content)

    async def count_new(self, lock: Lock) -> int:
        """Return how many bytes of a bundle are neither in stored blobs nor in partial files."""
        return sum(
            [
                max(0, size - self._content.ingests.measure(digest))
                for digest, size in lock.blobs
                if await self._content.blobs.stat(digest) is None
            ]
        )

    async def find_moved_back(self, lock: Lock) -> list[Moved]:
        """Return the tags that lead to images of a newer bundle, and would be moved back.

        An image may turn out to be incomplete: then its tag is not moved.
        """
        records = await self._log.read()
        moves = [find_move(self._manifest_store, lock, image, records) for image in lock.images]
        return [each for each in moves if each is not None and each.is_backwards]

    async def preview(self, opened: Opened) -> Imported:
        """Return what `load` would do, and change nothing.

        Damage is found in the manifests only: the bytes of layers are not read.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        before = await self._list_stored(opened.lock)
        result = Imported(LoadedBlobs())
        view = await preview_blobs(opened, self._content, before, result)
        await self._decide(opened, result, before, view)
        return result

    async def load(
        self, opened: Opened, report: Callable[[int], None], *, signer: str = ""
    ) -> Imported:
        """Import all images and blobs of a bundle that are not damaged.

        `report` is called with each number of bytes that were read, in any thread. `signer` is the
        name of the key that signed the bundle, which is recorded with its tags.

        Raises:
            StoreError: the disk refused, or there is too little space; the next import continues.
        """
        before = await self._list_stored(opened.lock)
        for digest in before:
            # Otherwise the import might evict them to free space for the other blobs.
            await self._content.mark_used(digest)
        loader = BlobLoader(self._content, before, report)
        result = Imported(loader.result)
        try:
            await _load_blobs(opened, loader)
        except BundleInvalid as error:  # some images may need only blobs that were already read
            result.flaws.append(str(error))
        finally:
            await loader.finish()
        decisions = await self._decide(opened, result, before, self._view)
        if result.images:  # before the names: a crash in between must not hide that they moved
            await self._log.add(opened.lock)
        await self._record(opened.lock, decisions, signer)
        return result

    async def load_names(self, opened: Opened) -> Imported:
        """Import only the manifests and names of a bundle, whose blobs are in the store already.

        Raises:
            StoreError: the disk refused.
        """
        result = Imported(LoadedBlobs())
        decisions = await self._decide(opened, result, frozenset(), self._view)
        await self._record(opened.lock, decisions, "")
        return result

    async def _list_stored(self, lock: Lock) -> set[Digest]:
        """Return the blobs that the images of a bundle need and that are stored."""
        return {
            digest
            for digest, _ in (*lock.blobs, *lock.omitted)
            if await self._content.blobs.stat(digest) is not None
        }

    async def _decide(
        self, opened: Opened, result: Imported, before: AbstractSet[Digest], view: ContentView
    ) -> list[ImageDecision]:
        """Decide about all images, and add the decisions and the damage to the result."""
        source, lock = opened.source, opened.lock
        result.volumes, result.volume_count = list(source.missing), source.count
        result.flaws = [*source.flaws.messages, *result.flaws]
        if source.flaws.foreign:  # somebody has changed it, so nothing in it gets a name
            decisions = [
                ImageDecision(image, refused=source.flaws.foreign) for image in lock.images
            ]
            for decision in decisions:
                result.add(decision)
            return decisions
        records = await self._log.read()
        decider = ImageDecider(view, self._manifest_store, lock, before, records)
        decisions = await decider.decide_all()
        result.flaws += opened.find_changed(decider.manifests)
        for decision in decisions:
            result.add(decision)
        for digest in list(result.blobs.damaged)[:100]:
            result.damaged[digest] = decider.list_users(digest)
        return decisions

    async def _record(self, lock: Lock, decisions: Iterable[ImageDecision], signer: str) -> None:
        """Record the manifests of images that are not refused, and the names of complete ones."""
        for decision in decisions:
            is_named = isinstance(decision.image.reference, Tag) and not decision.missing
            # The name comes last, so that a client that finds the name finds all manifests.
            for digest in reversed(decision.manifests):
                is_root = digest == decision.image.root.digest
                await self._put(lock, decision, digest, signer, is_named=is_named and is_root)

    async def _put(
        self, lock: Lock, decision: ImageDecision, digest: Digest, signer: str, *, is_named: bool
    ) -> None:
        raw, image = await self._view.read(digest), decision.image
        if raw is None:
            raise StoreError(str(digest), "was deleted during the import; import again")
        manifest = parse_manifest(raw, lock.manifests[digest], digest)
        tag = image.reference if is_named and isinstance(image.reference, Tag) else None
        await self._manifest_store.put_names(
            image.repository,
            manifest,
            tag,
            self._clock(),
            bundle=lock.bundle_id if tag else "",
            signer=signer if tag else "",
            with_blobs=True,
        )


async def _load_blobs(opened: Opened, loader: BlobLoader) -> None:
    source = opened.source
    for member in opened.blobs:
        if member.digest not in source.parts:  # cut blobs are stored part by part
            await loader.load(source, member)
    for parts in source.parts.values():
        await loader.load_parts(parts)
