"""Manifests at hand in this process: remembered, or recalled from catalog and disk."""

from registry.catalog.manifests import ManifestCatalog
from registry.mirror.intake import Intake
from registry.mirror.memory import Known, ManifestMemory
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository, Tag

GLANCE = 1.0  # seconds after which a change made by another process is seen at the latest


class Shelf:
    """What can be answered without asking anybody."""

    def __init__(self, memory: ManifestMemory, catalog: ManifestCatalog, intake: Intake) -> None:
        self._memory = memory
        self._catalog = catalog
        self._intake = intake
        self._version = -1
        self._glanced = 0.0

    def remember(self, repository: Repository, reference: Reference, now: float) -> Known | None:
        """Return what is in memory; nothing is read from disk but a counter, once a second."""
        if abs(now - self._glanced) >= GLANCE:
            self._glanced = now
            version = self._catalog.version()
            if version != self._version:
                self._version = version
                self._memory.clear()
        return self._memory.get(repository, reference)

    async def recall(self, repository: Repository, reference: Reference) -> Known | None:
        """Return what the catalog and the disk know, and put it into memory.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        checked = 0.0
        digest = reference
        if isinstance(digest, Tag):
            record = self._catalog.find_tag(repository, digest)
            if record is None:
                return None
            digest, checked = record.digest, record.checked
        media_type = self._catalog.find_held(repository, digest)
        manifest = await self._intake.recall(digest, media_type) if media_type else None
        if manifest is None:
            return None
        known = Known(manifest, checked)
        self._memory.put(repository, reference, known)
        return known

    async def recall_bytes(self, digest: Digest) -> Manifest | None:
        """Return a stored manifest whoever has it: the caller knows who may see it."""
        media_type = self._catalog.find_media_type(digest)
        return await self._intake.recall(digest, media_type) if media_type else None

    def is_promised(self, repository: Repository, digest: Digest) -> bool:
        """Whether an index that the repository has refers to this manifest."""
        return self._catalog.names_child(repository, digest)

    async def keep(
        self, repository: Repository, reference: Reference, manifest: Manifest, now: float
    ) -> Known:
        """Keep a verified manifest that `reference` leads to now."""
        tag = reference if isinstance(reference, Tag) else None
        await self._intake.keep(repository, manifest, tag, now)
        known = Known(manifest, now)
        self._memory.put(repository, reference, known)
        return known

    async def confirm(
        self, repository: Repository, tag: Tag, manifest: Manifest, now: float
    ) -> Known:
        """Note that the tag still leads to this manifest."""
        known = Known(manifest, now)
        self._memory.put(repository, tag, known)
        await self._catalog.confirm_tag(repository, tag, now)
        return known
