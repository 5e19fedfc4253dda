"""Deciding about the images of a bundle: complete, incomplete or refused, and moved tags.

An import decides by what is stored, and a dry run by what would be stored, with the same rules.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from registry.bundle.format.lock import Lock, LockedImage
from registry.bundle.load.import_log import ImportRecord, is_older
from registry.bundle.load.result import ImageDecision, Moved
from registry.bundle.load.views import ContentView
from registry.bundle.read.head import (
    find_above,
    find_contradictions,
    list_users,
    map_parents,
    parse_without_raw,
)
from registry.content.manifests import ManifestStore
from registry.errors import ManifestInvalid
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, Manifest
from registry.oci.names import Tag

MAX_USERS = 100  # blobs for which the images that need them are found


class ImageDecider:
    """Decides about the images of one bundle; changes nothing.

    After `decide_all`, `manifests` are the manifests of the bundle that are stored and valid.
    """

    def __init__(
        self,
        view: ContentView,
        manifest_store: ManifestStore,
        lock: Lock,
        before: AbstractSet[Digest],
        records: Sequence[ImportRecord],
    ) -> None:
        """`before` are the blobs of the lock that were stored before the import.

        `records` are the earlier imports.
        """
        self._view = view
        self._manifest_store = manifest_store
        self._lock = lock
        self._before = before
        self._records = records
        self.manifests: dict[Digest, Manifest] = {}
        self._wrong: dict[Digest, list[str]] = {}
        self._above: dict[Digest, set[Digest]] = {}
        self._missing: dict[Digest, list[Descriptor]] = {}

    async def decide_all(self) -> list[ImageDecision]:
        """Return the decision about each image of the bundle, in the order of the lock.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        for digest, kind in self._lock.manifests.items():
            raw = await self._view.read(digest)
            try:
                if raw is not None:
                    self.manifests[digest] = parse_without_raw(raw, kind, digest)
            except ManifestInvalid as error:
                self._wrong[digest] = [error.why]
        for digest, why in find_contradictions(self._lock, self.manifests).items():
            self._wrong.setdefault(digest, []).extend(why)
        self._parents = map_parents(self.manifests)
        self._above = {
            digest: find_above(self._parents, digest) for digest in list(self._wrong)[:MAX_USERS]
        }
        return [await self._decide(image) for image in self._lock.images]

    def list_users(self, digest: Digest) -> list[str]:
        """Return the names of the images that need a blob; call it after `decide_all`."""
        return list_users(self._lock, self._parents, digest)

    async def _decide(self, image: LockedImage) -> ImageDecision:
        decision = ImageDecision(image)
        roots = {image.root.digest, *(each.digest for each in image.referrers)}
        wrong = next((d for d in self._wrong if roots & self._above.get(d, {d})), None)
        if wrong is not None:
            decision.refused = f"manifest {wrong}: {self._wrong[wrong][0]}"
            return decision
        found: dict[Digest, None] = {}
        for descriptor in (image.root, *image.referrers):
            if descriptor.digest not in self._missing:
                self._missing[descriptor.digest] = await self._find_missing(descriptor)
            decision.missing += self._missing[descriptor.digest]
            found |= dict.fromkeys(self._reach(descriptor.digest))
        decision.manifests = list(found)
        if not decision.missing:
            decision.is_known = self._is_known(image, found)
            decision.moved = find_move(self._manifest_store, self._lock, image, self._records)
        return decision

    def _is_known(self, image: LockedImage, found: Iterable[Digest]) -> bool:
        """Whether the image was complete, under the same name, before this import."""
        if isinstance(image.reference, Tag):
            tag = self._manifest_store.catalog.find_tag(image.repository, image.reference)
            is_named = tag is not None and tag.digest == image.root.digest
        else:
            held = self._manifest_store.catalog.find_held(image.repository, image.reference)
            is_named = held is not None
        blobs = {each.digest for digest in found for each in self.manifests[digest].blobs}
        return is_named and self._before >= {*found, *blobs}

    async def _find_missing(self, root: Descriptor) -> list[Descriptor]:
        missing: dict[Digest, Descriptor] = {}
        if root.digest not in self.manifests:
            missing[root.digest] = root
        for digest in self._reach(root.digest):
            manifest = self.manifests[digest]
            for blob in manifest.blobs:
                if await self._view.stat(blob.digest) != blob.size:
                    missing[blob.digest] = blob
            missing |= {
                child.digest: child
                for child in manifest.children  # children outside the lock are not needed
                if child.digest in self._lock.manifests and child.digest not in self.manifests
            }
        return list(missing.values())

    def _reach(self, root: Digest) -> list[Digest]:
        """Return the manifests from `root` down: `root`, then its children, and so on."""
        found: dict[Digest, None] = {}
        level = [root]
        while level:
            level = [d for d in dict.fromkeys(level) if d in self.manifests and d not in found]
            found |= dict.fromkeys(level)
            level = [child.digest for digest in level for child in self.manifests[digest].children]
        return list(found)


def find_move(
    manifest_store: ManifestStore,
    lock: Lock,
    image: LockedImage,
    records: Sequence[ImportRecord],
) -> Moved | None:
    """Return how an import moves the tag of an image; None if it moves no tag."""
    if not isinstance(image.reference, Tag):
        return None
    former = manifest_store.catalog.find_tag(image.repository, image.reference)
    if former is None or former.digest == image.root.digest:
        return None
    is_backwards = is_older(lock, former.bundle, former.checked, records)
    return Moved(image.name, former.digest, image.root.digest, is_backwards)
