"""Manifests at hand in this process: remembered, or recalled from catalog and disk."""

from dataclasses import dataclass

import structlog

from registry.catalog.manifests import ManifestCatalog
from registry.content.manifests import ManifestStore
from registry.errors import StoreError
from registry.mirror.manifest_memory import Known, ManifestMemory
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository, Tag

GLANCE = 1.0  # seconds after which a change made by another process is seen at the latest


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the catalog says of a reference that a repository has."""

    digest: Digest
    media_type: str
    checked: float


class ManifestCache:
    """What can be answered without asking anybody."""

    def __init__(
        self, memory: ManifestMemory, catalog: ManifestCatalog, intake: ManifestStore
    ) -> None:
        self._memory = memory
        self._catalog = catalog
        self._intake = intake
        self._version = -1
        self._glanced = 0.0
        self._log = structlog.get_logger("registry.mirror")

    def remember(self, repository: Repository, reference: Reference, now: float) -> Known | None:
        """Return what is in memory; no file is read, but a counter of the catalog once a second.

        When that has moved, by another process or by our own writes, what is asked for is looked up
        in the catalog again; what was parsed once stays parsed.

        Raises:
            StoreError: the catalog refused.
        """
        if abs(now - self._glanced) >= GLANCE:
            self._glanced = now
            version = self._catalog.version()
            if version != self._version:
                self._version = version
                self._memory.doubt()
        known = self._memory.get_trusted(repository, reference)
        if known is not None or self._memory.get(repository, reference) is None:
            return known
        entry = self._look_up(repository, reference)
        return self._recollect(repository, reference, entry) if entry else None

    async def recall(self, repository: Repository, reference: Reference) -> Known | None:
        """Return what the catalog and the disk know, and put it into memory.

        The disk is left alone, and no thread is waited for, where the manifest is in memory.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        entry = self._look_up(repository, reference)
        if entry is None:
            return None
        known = self._recollect(repository, reference, entry)
        if known is not None:
            return known
        manifest = await self._intake.recall(entry.digest, entry.media_type)
        if manifest is None:
            return None
        known = Known(manifest, entry.checked)
        self._memory.put(repository, reference, known)
        return known

    def _look_up(self, repository: Repository, reference: Reference) -> _Entry | None:
        checked, digest = 0.0, reference
        if isinstance(digest, Tag):
            record = self._catalog.find_tag(repository, digest)
            if record is None:
                return None
            digest, checked = record.digest, record.checked
        media_type = self._catalog.find_held(repository, digest)
        return _Entry(digest, media_type, checked) if media_type else None

    def _recollect(
        self, repository: Repository, reference: Reference, entry: _Entry
    ) -> Known | None:
        for name in (reference, entry.digest):
            known = self._memory.get(repository, name)
            if known is not None and known.manifest.digest == entry.digest:
                # A full disk may have kept the newer time of a check out of the catalog.
                checked = max(known.checked, entry.checked) if name == reference else entry.checked
                known = Known(known.manifest, checked)
                self._memory.put(repository, reference, known)
                return known
        return None

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
        """Note that the tag still leads to this manifest; a disk that refuses is logged."""
        known = Known(manifest, now)
        self._memory.put(repository, tag, known)
        try:
            await self._intake.confirm(repository, tag, now)
        except StoreError as error:  # the upstream will be asked again: that is all
            self._log.error("check not kept", image=f"{repository}:{tag}", why=str(error))
        return known
