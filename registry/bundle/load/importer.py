"""Importing a bundle: first the bytes, each checked; then manifests; then names."""

import json
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from registry.bundle.format.lock import Lock
from registry.bundle.load.blobs import BlobLoader, LoadedBlobs
from registry.bundle.load.image import ImageImport
from registry.bundle.load.result import Imported, Moved
from registry.bundle.read.head import (
    Opened,
    find_above,
    find_contradictions,
    list_users,
    map_parents,
    parse_without_raw,
)
from registry.content.content import Content
from registry.content.manifests import ManifestStore
from registry.errors import BundleInvalid, ManifestInvalid, StoreError
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Descriptor, Manifest, parse_manifest
from registry.oci.names import Tag


class Importer:
    """Imports bundles into a data folder, which servers may be using; repeating one is harmless."""

    def __init__(
        self,
        content: Content,
        manifest_store: ManifestStore,
        clock: Callable[[], float],
    ) -> None:
        self._content = content
        self._manifest_store = manifest_store
        self._clock = clock

    async def count_new(self, lock: Lock) -> int:
        """Return how many bytes of a bundle are neither in stored blobs nor in partial files."""
        return await self._count_missing(lock.blobs)

    async def count_omitted(self, lock: Lock) -> int:
        """Return how many bytes that the bundle omits are not stored either."""
        return await self._count_missing(lock.omitted)

    async def _count_missing(self, blobs: Iterable[tuple[Digest, int]]) -> int:
        return sum(
            [
                max(0, size - self._content.measure_partial(digest))
                for digest, size in blobs
                if await self._content.blobs.stat(digest) is None
            ]
        )

    async def load(
        self, opened: Opened, report: Callable[[int], None], *, signer: str = ""
    ) -> Imported:
        """Import all images and blobs of a bundle that are not damaged.

        `report` is called with the size in bytes of each blob that was read. `signer` is the name
        of the key that signed the bundle, which is recorded with its tags.

        Raises:
            StoreError: the disk refused, or there is too little space; the next import continues.
        """
        before = await self._mark_used(opened.lock)
        loader = BlobLoader(self._content, before)
        result = Imported(loader.result)
        try:
            await _load_blobs(opened, loader, report)
        except BundleInvalid as error:  # some images may need only blobs that were already read
            result.flaws.append(str(error))
        finally:
            await loader.finish()
        await self._load_names(opened, result, before, signer)
        return result

    async def load_names(self, opened: Opened) -> Imported:
        """Import only the manifests and names of a bundle, whose blobs are in the store already.

        Raises:
            StoreError: the disk refused.
        """
        result = Imported(LoadedBlobs())
        await self._load_names(opened, result, frozenset(), "")
        return result

    async def _load_names(
        self, opened: Opened, result: Imported, before: AbstractSet[Digest], signer: str
    ) -> None:
        source = opened.source
        result.volumes = list(source.missing)
        result.flaws = [*source.flaws.messages, *result.flaws]
        if source.flaws.foreign:  # somebody has changed it, so nothing in it gets a name
            result.refused = {image.name: source.flaws.foreign for image in opened.lock.images}
            return
        await self._load_images(opened, result, before, signer)

    async def _mark_used(self, lock: Lock) -> set[Digest]:
        """Mark the stored blobs of the bundle as used just now, and return their digests.

        Otherwise the import might evict them to free space for the other blobs.
        """
        here = set()
        for digest, _ in (*lock.blobs, *lock.omitted):
            if await self._content.blobs.stat(digest) is not None:
                await self._content.mark_used(digest)
                here.add(digest)
        return here

    async def _load_images(
        self, opened: Opened, result: Imported, before: AbstractSet[Digest], signer: str
    ) -> None:
        lock = opened.lock
        manifests: dict[Digest, Manifest] = {}
        wrong: dict[Digest, list[str]] = {}
        for digest, kind in lock.manifests.items():
            raw = await self._read(digest)
            try:
                if raw is not None:
                    manifests[digest] = parse_without_raw(raw, kind, digest)
            except ManifestInvalid as error:
                wrong[digest] = [error.why]
        result.flaws += [f"{name} was changed" for name in opened.find_changed(manifests)]
        for digest, why in find_contradictions(lock, manifests).items():
            wrong.setdefault(digest, []).extend(why)
        parents = map_parents(manifests)
        above = {digest: find_above(parents, digest) for digest in list(wrong)[:100]}
        missing: dict[Digest, list[Descriptor]] = {}
        for image in lock.images:
            roots = {image.root.digest, *(each.digest for each in image.referrers)}
            found = next((digest for digest in wrong if roots & above.get(digest, {digest})), None)
            if found is not None:
                result.refused[image.name] = f"manifest {found}: {wrong[found][0]}"
                continue
            image_import = ImageImport(lock, image, manifests, missing, before, signer)
            await self._load_image(image_import, result)
        for digest in list(result.blobs.damaged)[:100]:
            result.damaged[digest] = list_users(lock, parents, digest)

    async def _load_image(self, image_import: ImageImport, result: Imported) -> None:
        """Record an image's manifests, and also its name if all its blobs are stored."""
        image, missing = image_import.image, []
        found: dict[Digest, None] = {}
        for descriptor in (image.root, *image.referrers):
            if descriptor.digest not in image_import.missing:
                image_import.missing[descriptor.digest] = await self._find_missing(
                    image_import, descriptor
                )
            missing += image_import.missing[descriptor.digest]
            found |= dict.fromkeys(image_import.reach(descriptor.digest))
        is_tag = isinstance(image.reference, Tag) and not missing
        if not missing and self._is_known(image_import, found):
            result.known.add(image.name)
        if is_tag:
            await self._note_move(image_import, result)
        # The name comes last, so that a client that finds the name finds all manifests.
        for digest in reversed(found):
            await self._put(image_import, digest, is_named=is_tag and digest == image.root.digest)
        if missing:
            result.incomplete[image.name] = missing
        else:
            result.images.append(image)

    def _is_known(self, image_import: ImageImport, found: Iterable[Digest]) -> bool:
        """Whether the image was complete, under the same name, before this import."""
        image = image_import.image
        if isinstance(image.reference, Tag):
            tag = self._manifest_store.catalog.find_tag(image.repository, image.reference)
            is_named = tag is not None and tag.digest == image.root.digest
        else:
            held = self._manifest_store.catalog.find_held(image.repository, image.reference)
            is_named = held is not None
        blobs = {each.digest for digest in found for each in image_import.manifests[digest].blobs}
        return is_named and image_import.before >= {*found, *blobs}

    async def _find_missing(self, image_import: ImageImport, root: Descriptor) -> list[Descriptor]:
        missing: dict[Digest, Descriptor] = {}
        if root.digest not in image_import.manifests:
            missing[root.digest] = root
        for digest in image_import.reach(root.digest):
            manifest = image_import.manifests[digest]
            for blob in manifest.blobs:
                if await self._content.blobs.stat(blob.digest) != blob.size:
                    missing[blob.digest] = blob
            missing |= {
                child.digest: child
                for child in manifest.children  # children outside the lock are not needed
                if child.digest in image_import.lock.manifests
                and child.digest not in image_import.manifests
            }
        return list(missing.values())

    async def _put(self, image_import: ImageImport, digest: Digest, *, is_named: bool) -> None:
        raw, image = await self._read(digest), image_import.image
        if raw is None:
            raise StoreError(str(digest), "was deleted during the import; import again")
        manifest = parse_manifest(raw, image_import.lock.manifests[digest], digest)
        tag = image.reference if is_named and isinstance(image.reference, Tag) else None
        await self._manifest_store.put_names(
            image.repository,
            manifest,
            tag,
            self._clock(),
            bundle=image_import.lock.bundle_id if tag else "",
            signer=image_import.signer if tag else "",
        )

    async def _note_move(self, image_import: ImageImport, result: Imported) -> None:
        image = image_import.image
        assert isinstance(image.reference, Tag)  # noqa: S101 (of the caller)
        former = self._manifest_store.catalog.find_tag(image.repository, image.reference)
        if former is None or former.digest == image.root.digest:
            return
        kind = self._manifest_store.catalog.find_media_type(former.digest)
        known = {former.digest: kind} if kind else {}
        before = await self._find_age(former.digest, known)
        now = await self._find_age(image.root.digest, image_import.lock.manifests)
        is_backwards = before is not None and now is not None and now < before
        moved = Moved(image.name, former.digest, image.root.digest, is_backwards)
        result.moved.append(moved)

    async def _find_age(self, root: Digest, kinds: Mapping[Digest, str]) -> datetime | None:
        """Return when an image was made, according to the newest of its stored configs."""
        ages, waiting = [], [(root, kinds.get(root, ""))]
        while waiting:
            digest, kind = waiting.pop()
            raw = await self._read(digest)
            try:
                manifest = parse_manifest(raw or b"", kind, digest)
            except ManifestInvalid:
                continue
            if digest == root:  # only one level of children: indexes of indexes are not used
                waiting += [(child.digest, child.media_type) for child in manifest.children]
            config = await self._read(manifest.blobs[0].digest) if manifest.blobs else None
            ages += [age] if config and (age := read_created(config)) else []
        return max(ages, default=None)

    async def _read(self, digest: Digest) -> bytes | None:
        return await self._content.read_all(digest, MAX_MANIFEST)


async def _load_blobs(opened: Opened, loader: BlobLoader, report: Callable[[int], None]) -> None:
    source = opened.source
    for member in opened.blobs:
        if member.digest not in source.parts:  # cut blobs are stored part by part
            await loader.load(source, member)
            report(member.size)
    for parts in source.parts.values():
        await loader.load_parts(parts)
        report(sum(each.part.size for each in parts))


def read_created(config: bytes) -> datetime | None:
    """Return when an image was made (image-spec, config.md, "created"); None if it is not known."""
    try:
        created = datetime.fromisoformat(json.loads(config)["created"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return created if created.tzinfo else created.replace(tzinfo=UTC)
