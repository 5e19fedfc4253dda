"""Manifests that one process can serve without an upstream: from memory, or from the disk.

`ManifestCache` fills the `ManifestMemory`, and asks the catalog whether a tag still leads to the
manifest in memory, and whether its bytes are still stored.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from registry.catalog.manifests import ManifestCatalog
from registry.catalog.tag_hold import NO_HOLD, TagHold
from registry.content.manifests import ManifestStore
from registry.errors import StoreError
from registry.logs import get_logger
from registry.mirror.manifest_memory import KnownManifest, ManifestMemory
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository, Tag

PERIOD = 1.0  # seconds after which a change that another process made is seen at the latest
RETRY = 10.0  # seconds between two attempts to store manifests that the disk has refused


@dataclass(frozen=True, slots=True)
class _CatalogEntry:
    """The fields that the catalog has for a reference of a repository."""

    digest: Digest
    media_type: str
    checked: float
    warning: str = ""
    hold: TagHold = NO_HOLD


class ManifestCache:
    """Finds manifests in memory, in the catalog and on the disk, and adds new ones to all three."""

    def __init__(
        self, memory: ManifestMemory, catalog: ManifestCatalog, manifest_store: ManifestStore
    ) -> None:
        self._memory = memory
        self._catalog = catalog
        self._manifest_store = manifest_store
        self._revision: int | None = None
        self._unrecorded: set[tuple[Repository, Reference]] = set()
        self._lost: set[Digest] = set()  # in memory, and not in the store any more
        self._has_lost = asyncio.Event()
        self._log = get_logger("registry.mirror")

    @property
    def generation(self) -> int:
        """The current generation of memory; callers of `confirm` read it before they ask."""
        return self._memory.generation

    async def keep_watching(self) -> None:
        """Look for changes by other processes once a second, until cancelled.

        Requests do not look for them, so that a manifest from memory costs no catalog query.
        """
        while True:
            self.look_for_changes()
            await asyncio.sleep(PERIOD)

    def look_for_changes(self) -> None:
        """Begin a new generation if tags or manifests changed, or the catalog cannot be read."""
        try:
            revision = self._catalog.read_revision()
        except StoreError as error:
            if self._revision is not None:
                self._log.error("catalog not readable", why=str(error))
            revision = None
        if revision is None or revision != self._revision:
            self._revision = revision
            self._memory.begin_generation()
            self._find_damaged()

    def _find_damaged(self) -> None:
        """Note manifests that were found damaged on the disk, and are right in memory."""
        with suppress(StoreError):  # it was logged just now, or the next change finds them
            for manifest in self._memory.find_all(self._catalog.list_damaged()).values():
                self._note_lost(manifest)

    def _note_lost(self, manifest: Manifest) -> None:
        self._lost.add(manifest.digest)
        self._has_lost.set()

    async def keep_storing(self) -> None:
        """Store manifests that are in memory only, again and again, until cancelled.

        The disk has refused them, or their bytes were evicted or damaged since.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY):
                    await self._has_lost.wait()
            self._has_lost.clear()
            await self.store_again()

    async def store_again(self) -> None:
        """Try once to store the manifests that are in memory only."""
        # Nothing is noted of what is not in memory any more: the disk may refuse for days.
        self._unrecorded = {key for key in self._unrecorded if key in self._memory}
        lost = self._memory.find_all(self._lost)
        self._lost &= lost.keys()
        for digest, manifest in lost.items():
            if not await self._manifest_store.keep_bytes(manifest):
                return
            self._lost.discard(digest)
        for key in list(self._unrecorded):
            repository, reference = key
            known = self._memory.get(repository, reference)
            if known is not None and self._is_newer(repository, reference, known):
                tag = reference if isinstance(reference, Tag) else None
                if not await self._manifest_store.keep(
                    repository,
                    known.manifest,
                    tag,
                    known.checked,
                    warning=known.warning,
                    hold=known.hold,
                ):
                    return
            self._unrecorded.discard(key)

    def _is_newer(self, repository: Repository, reference: Reference, known: KnownManifest) -> bool:
        """Whether `known` is newer than the record in the catalog, if there is one."""
        if not isinstance(reference, Tag):
            return True
        try:
            record = self._catalog.find_tag(repository, reference)
        except StoreError:
            return True  # storing it then fails too, and is tried again
        return record is None or record.checked < known.checked

    def remember(self, repository: Repository, reference: Reference) -> KnownManifest | None:
        """Return the manifest if it is in memory; this reads no file.

        The catalog is read only after a change of tags or repositories. A manifest in memory is
        not parsed again.

        Raises:
            StoreError: the catalog refused.
        """
        known = self._memory.get_current(repository, reference)
        if known is not None or self._memory.get(repository, reference) is None:
            return known
        generation = self._memory.generation
        entry = self._look_up(repository, reference)
        return self._renew(repository, reference, entry, generation) if entry else None

    async def recall(self, repository: Repository, reference: Reference) -> KnownManifest | None:
        """Return the manifest that the catalog names, and put it into memory.

        The disk is read, in a thread, only if the manifest is not in memory.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        generation = self._memory.generation
        entry = self._look_up(repository, reference)
        if entry is None:
            return None
        known = self._renew(repository, reference, entry, generation)
        if known is not None:
            return known
        manifest = await self._manifest_store.recall(entry.digest, entry.media_type)
        if manifest is None:
            return None
        known = KnownManifest(manifest, entry.checked, entry.warning, entry.hold)
        self._memory.put(repository, reference, known, generation)
        return known

    def _look_up(self, repository: Repository, reference: Reference) -> _CatalogEntry | None:
        if isinstance(reference, Digest):
            held = self._catalog.find_held(repository, reference)
            return _CatalogEntry(reference, held, 0.0) if held else None
        record = self._catalog.find_tag(repository, reference)
        held = None if record is None else self._catalog.find_held(repository, record.digest)
        if record is None or held is None:
            return None
        return _CatalogEntry(record.digest, held, record.checked, record.warning, record.hold)

    def _renew(
        self,
        repository: Repository,
        reference: Reference,
        entry: _CatalogEntry,
        generation: int,
    ) -> KnownManifest | None:
        """Put the manifest that the catalog names into this generation, if it is in memory.

        If its bytes are not stored any more, they are stored again.
        """
        for name in (reference, entry.digest):
            known = self._memory.get(repository, name)
            if known is not None and known.manifest.digest == entry.digest:
                if not self._catalog.is_stored(entry.digest):
                    self._note_lost(known.manifest)
                # A full disk may have kept a newer check out of the catalog.
                is_newer = name == reference and known.checked > entry.checked
                if not is_newer:
                    known = KnownManifest(known.manifest, entry.checked, entry.warning, entry.hold)
                self._memory.put(repository, reference, known, generation)
                return known
        return None

    async def recall_bytes(self, digest: Digest) -> Manifest | None:
        """Return a stored manifest of any repository; the caller checks the permission.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        media_type = self._catalog.find_media_type(digest)
        return await self._manifest_store.recall(digest, media_type) if media_type else None

    def was_target(self, repository: Repository, tag: Tag, digest: Digest) -> bool:
        """Whether a client has pulled this manifest by this tag before, as far as is recorded.

        Raises:
            StoreError: the catalog refused.
        """
        return self._catalog.was_target(repository, tag, digest)

    def is_child(self, repository: Repository, digest: Digest) -> bool:
        """Whether an index that the repository has lists this manifest."""
        return self._catalog.names_child(repository, digest)

    async def keep(
        self,
        repository: Repository,
        reference: Reference,
        manifest: Manifest,
        now: float,
        *,
        warning: str = "",
        hold: TagHold = NO_HOLD,
    ) -> KnownManifest:
        """Store a verified manifest, and record that `reference` led to it at `now`.

        `warning` is what clients are told about it, and `hold` why a tag does not follow its
        upstream. If the disk refuses the manifest, it is kept in memory, and stored later.
        """
        generation = self._memory.generation
        tag = reference if isinstance(reference, Tag) else None
        if not await self._manifest_store.keep(
            repository, manifest, tag, now, warning=warning, hold=hold
        ):
            self._unrecorded.add((repository, reference))
        known = KnownManifest(manifest, now, warning, hold)
        self._memory.put(repository, reference, known, generation)
        return known

    async def confirm(
        self,
        repository: Repository,
        tag: Tag,
        manifest: Manifest,
        now: float,
        generation: int,
        *,
        warning: str = "",
        hold: TagHold = NO_HOLD,
    ) -> KnownManifest:
        """Record that an upstream was asked at `now`, and that the tag still leads to a manifest.

        `generation` is the generation before the upstream was asked. If another process has moved
        the tag since then, the tag leads to what that process has recorded, with its time.
        `warning` is what clients are told about it, and `hold` why it does not follow its upstream.

        If the disk refuses, that is logged, and other processes do not know the new time.
        """
        known = KnownManifest(manifest, now, warning, hold)
        self._memory.put(repository, tag, known, generation)
        store, digest = self._manifest_store, manifest.digest
        try:
            await store.confirm(repository, tag, digest, now, warning=warning, hold=hold)
        except StoreError as error:  # then the upstream is asked again earlier than necessary
            self._log.error("tag check not recorded", image=f"{repository}:{tag}", why=str(error))
        return known

    async def hold(
        self, repository: Repository, tag: Tag, known: KnownManifest, hold: TagHold, warning: str
    ) -> KnownManifest:
        """Record why a tag does not follow its upstream, which was not asked; return what is known.

        If the disk refuses, that is logged, and it is decided again at the next request.
        """
        generation = self._memory.generation
        known = KnownManifest(known.manifest, known.checked, warning, hold)
        self._memory.put(repository, tag, known, generation)
        digest = known.manifest.digest
        try:
            await self._catalog.hold_tag(repository, tag, digest, hold, warning)
        except StoreError as error:
            self._log.error("tag check not recorded", image=f"{repository}:{tag}", why=str(error))
        return known
