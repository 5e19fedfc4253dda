"""Importing a bundle: bytes first, each checked; then manifests; then what names lead to."""

import json
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Protocol

from registry.bundle.format.lock import Lock
from registry.bundle.load.blobs import BlobLoader, Keeper, LoadedBlobs
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
from registry.catalog.manifests import ManifestCatalog
from registry.errors import BundleInvalid, ManifestInvalid, StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Descriptor, Manifest, parse_manifest
from registry.oci.names import Repository, Tag
from registry.store.contract import BlobStore
from registry.store.ingests import Ingests


class Shelver(Protocol):
    """Who keeps manifests and names (`mirror.intake.Intake`)."""

    async def put(
        self,
        repository: Repository,
        manifest: Manifest,
        tag: Tag | None,
        now: float,
        *,
        bundle: str = "",
        signer: str = "",
    ) -> None:
        """Keep a manifest of `repository`, and that `tag` leads to it by what a bundle says."""


class Importer:
    """Brings bundles into the store, beside whatever serves from it; again is harmless."""

    def __init__(
        self,
        store: BlobStore,
        ingests: Ingests,
        keeper: Keeper,
        shelver: Shelver,
        catalog: ManifestCatalog,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._ingests = ingests
        self._keeper = keeper
        self._shelver = shelver
        self._catalog = catalog
        self._clock = clock

    async def count_new(self, lock: Lock) -> int:
        """Return how many bytes of a bundle are not here yet, not even of blobs still arriving."""
        return await self._count_absent(lock.blobs)

    async def count_lacking(self, lock: Lock) -> int:
        """Return how many bytes that a bundle leaves out are not here either."""
        return await self._count_absent(lock.omitted)

    async def _count_absent(self, blobs: Iterable[tuple[Digest, int]]) -> int:
        return sum(
            [
                max(0, size - self._ingests.measure(digest))
                for digest, size in blobs
                if await self._store.stat(digest) is None
            ]
        )

    async def load(
        self, opened: Opened, tell: Callable[[int], None], *, signer: str = ""
    ) -> Imported:
        """Import what is right of a bundle; each blob's size in bytes is told when it was read.

        `signer` is the name of the key that signed it, which is kept with its tags.

        Raises:
            StoreError: the disk refused, or there is no room; importing again goes on.
        """
        unloader = BlobLoader(self._store, self._ingests, self._keeper)
        result = Imported(unloader.result)
        before = await self._warm(opened.lock)
        try:
            await _unload(opened, unloader, tell)
        except BundleInvalid as error:  # what came before may be all that some images need
            result.flaws.append(str(error))
        finally:
            await unloader.finish()
        await self._shelve(opened, result, before, signer)
        return result

    async def shelve(self, opened: Opened) -> Imported:
        """Import a bundle whose blobs are in the store already: manifests, and what names lead to.

        Raises:
            StoreError: the disk refused.
        """
        result = Imported(LoadedBlobs())
        await self._shelve(opened, result, frozenset(), "")
        return result

    async def _shelve(
        self, opened: Opened, result: Imported, before: AbstractSet[Digest], signer: str
    ) -> None:
        source = opened.source
        result.volumes = list(source.missing)
        result.flaws = [*source.flaws.messages, *result.flaws]
        await self._load_images(opened.lock, result, before, signer)

    async def _warm(self, lock: Lock) -> set[Digest]:
        """Have what is here already count as used just now, so that no room is made from it.

        Returns what that is.
        """
        here = set()
        for digest, _ in (*lock.blobs, *lock.omitted):
            if await self._store.stat(digest) is not None:
                await self._keeper.settle(digest)
                here.add(digest)
        return here

    async def _load_images(
        self, lock: Lock, result: Imported, before: AbstractSet[Digest], signer: str
    ) -> None:
        manifests: dict[Digest, Manifest] = {}
        lies: dict[Digest, list[str]] = {}
        for digest, kind in lock.manifests.items():
            raw = await self._read(digest)
            try:
                if raw is not None:
                    manifests[digest] = parse_without_raw(raw, kind, digest)
            except ManifestInvalid as error:
                lies[digest] = [error.why]
        for digest, why in find_contradictions(lock, manifests).items():
            lies.setdefault(digest, []).extend(why)
        parents = map_parents(manifests)
        above = {digest: find_above(parents, digest) for digest in list(lies)[:100]}
        lacks: dict[Digest, list[Descriptor]] = {}
        for image in lock.images:
            roots = {image.root.digest, *(each.digest for each in image.referrers)}
            liar = next((digest for digest in lies if roots & above.get(digest, {digest})), None)
            if liar is not None:
                result.refused[image.name] = f"manifest {liar}: {lies[liar][0]}"
                continue
            image_import = ImageImport(lock, image, manifests, lacks, before, signer)
            await self._load_image(image_import, result)
        for digest in list(result.blobs.damaged)[:100]:
            result.damaged[digest] = list_users(lock, parents, digest)

    async def _load_image(self, image_import: ImageImport, result: Imported) -> None:
        """Keep an image's manifests, and make its name lead to it, if all of it is here."""
        image, lacking = image_import.image, []
        found: dict[Digest, None] = {}
        for descriptor in (image.root, *image.referrers):
            if descriptor.digest not in image_import.lacks:
                image_import.lacks[descriptor.digest] = await self._find_lacking(
                    image_import, descriptor
                )
            lacking += image_import.lacks[descriptor.digest]
            found |= dict.fromkeys(image_import.reach(descriptor.digest))
        is_tag = isinstance(image.reference, Tag) and not lacking
        if not lacking and self._is_known(image_import, found):
            result.known.add(image.name)
        if is_tag:
            await self._note_move(image_import, result)
        # Referrers and children first, and the name last: who finds it finds all of it.
        for digest in reversed(found):
            await self._put(image_import, digest, is_named=is_tag and digest == image.root.digest)
        if lacking:
            result.incomplete[image.name] = lacking
        else:
            result.images.append(image)

    def _is_known(self, image_import: ImageImport, found: Iterable[Digest]) -> bool:
        """Whether a whole image was here by its name, before this import."""
        image = image_import.image
        if isinstance(image.reference, Tag):
            tag = self._catalog.find_tag(image.repository, image.reference)
            is_named = tag is not None and tag.digest == image.root.digest
        else:
            is_named = self._catalog.find_held(image.repository, image.reference) is not None
        blobs = {each.digest for digest in found for each in image_import.manifests[digest].blobs}
        return is_named and image_import.before >= {*found, *blobs}

    async def _find_lacking(self, image_import: ImageImport, root: Descriptor) -> list[Descriptor]:
        lacking: dict[Digest, Descriptor] = {}
        if root.digest not in image_import.manifests:
            lacking[root.digest] = root
        for digest in image_import.reach(root.digest):
            manifest = image_import.manifests[digest]
            for blob in manifest.blobs:
                if await self._store.stat(blob.digest) != blob.size:
                    lacking[blob.digest] = blob
            lacking |= {
                child.digest: child
                for child in manifest.children  # those outside the lock are not promised
                if child.digest in image_import.lock.manifests
                and child.digest not in image_import.manifests
            }
        return list(lacking.values())

    async def _put(self, image_import: ImageImport, digest: Digest, *, is_named: bool) -> None:
        raw, image = await self._read(digest), image_import.image
        if raw is None:
            raise StoreError(str(digest), "was here a moment ago; import again")
        manifest = parse_manifest(raw, image_import.lock.manifests[digest], digest)
        tag = image.reference if is_named and isinstance(image.reference, Tag) else None
        await self._shelver.put(
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
        former = self._catalog.find_tag(image.repository, image.reference)
        if former is None or former.digest == image.root.digest:
            return
        kind = self._catalog.find_media_type(former.digest)
        known = {former.digest: kind} if kind else {}
        before = await self._find_age(former.digest, known)
        now = await self._find_age(image.root.digest, image_import.lock.manifests)
        is_backwards = before is not None and now is not None and now < before
        moved = Moved(image.name, former.digest, image.root.digest, is_backwards)
        result.moved.append(moved)

    async def _find_age(self, root: Digest, kinds: Mapping[Digest, str]) -> datetime | None:
        """Return when an image was made, by the youngest of its configs that are here."""
        ages, waiting = [], [(root, kinds.get(root, ""))]
        while waiting:
            digest, kind = waiting.pop()
            raw = await self._read(digest)
            try:
                manifest = parse_manifest(raw or b"", kind, digest)
            except ManifestInvalid:
                continue
            if digest == root:  # no deeper: an index of images is as deep as indexes are
                waiting += [(child.digest, child.media_type) for child in manifest.children]
            config = await self._read(manifest.blobs[0].digest) if manifest.blobs else None
            ages += [age] if config and (age := read_created(config)) else []
        return max(ages, default=None)

    async def _read(self, digest: Digest) -> bytes | None:
        """Return a small blob of the store; None where it is not here, or not what it was."""
        size = await self._store.stat(digest)
        if size is None or size > MAX_MANIFEST:
            return None
        raw = b"".join([piece async for piece in self._store.read(digest, Span(0, size))])
        return raw if digest.matches(raw) else None


async def _unload(opened: Opened, unloader: BlobLoader, tell: Callable[[int], None]) -> None:
    source = opened.source
    for member in opened.blobs:
        if member.digest not in source.parts:  # those are stored part by part
            await unloader.unload(source, member)
            tell(member.size)
    for parts in source.parts.values():
        await unloader.unload_parts(parts)
        tell(sum(each.part.size for each in parts))


def read_created(config: bytes) -> datetime | None:
    """Return when an image was made, as its config says (image-spec, config.md, "created")."""
    try:
        created = datetime.fromisoformat(json.loads(config)["created"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return created if created.tzinfo else created.replace(tzinfo=UTC)
