"""How a verified manifest becomes known: bytes first, then what points to them, then the index."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import structlog

from registry.catalog.manifests import ManifestCatalog
from registry.content.space import SpaceKeeper
from registry.errors import ManifestInvalid, StoreError
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.oci.names import Repository, Tag
from registry.store.blocking import in_thread
from registry.store.contract import BlobStore
from registry.store.ingests import Ingests
from registry.store.partial import PartialWriter
from registry.store.tags import TagFiles, TagTarget

POLL = 0.02  # seconds between two looks whether the bytes are here
ATTEMPTS = 250


class ManifestStore:
    """Keeps manifests, and brings them back."""

    def __init__(
        self,
        ingests: Ingests,
        store: BlobStore,
        files: TagFiles,
        catalog: ManifestCatalog,
        room: SpaceKeeper,
    ) -> None:
        self._ingests = ingests
        self._store = store
        self._files = files
        self._catalog = catalog
        self._room = room
        self._log = structlog.get_logger("registry.mirror")

    async def keep(
        self, repository: Repository, manifest: Manifest, tag: Tag | None, now: float
    ) -> bool:
        """Keep a manifest of `repository`, and that `tag` leads to it; whether it could be kept.

        A disk that refuses is logged, not raised: the client has its manifest either way.
        """
        try:
            await self.put(repository, manifest, tag, now)
        except (StoreError, OSError) as error:
            self._log.error(
                "manifest not kept", image=f"{repository}@{manifest.digest}", why=str(error)
            )
            return False
        return True

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
        """Keep a manifest, and that `tag` leads to it by what an upstream or a `bundle` says.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        await self._store_bytes(manifest)
        pointer = TagTarget(str(manifest.digest), manifest.media_type, now)
        await self._files.write(repository, manifest.digest, pointer)
        if tag is not None:
            await self._files.write(repository, tag, replace(pointer, bundle=bundle, signer=signer))
        await self._catalog.record(repository, manifest, tag, now, bundle=bundle, signer=signer)

    async def confirm(self, repository: Repository, tag: Tag, now: float) -> None:
        """Note that an upstream said that the tag has not moved; no bundle is behind it any more.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        record = self._catalog.find_tag(repository, tag)
        if record is not None and record.bundle:
            pointer = await self._files.read(repository, tag)
            if pointer is not None:
                pointer = replace(pointer, seen=now, bundle="", signer="")
                await self._files.write(repository, tag, pointer)
        await self._catalog.confirm_tag(repository, tag, now)

    async def _store_bytes(self, manifest: Manifest) -> None:
        writer = await self._take(manifest.digest)
        if writer is None:
            return
        is_kept = False
        try:
            await self._room.reserve(manifest.digest, len(manifest.raw))
            writer.restart()
            await in_thread(writer.append, [manifest.raw])
            sealed = await in_thread(writer.seal)
            await self._store.adopt(sealed)
            await self._room.record(sealed.digest, sealed.size)
            is_kept = True
        finally:
            if not is_kept:
                writer.abandon()
            writer.close()
            if not is_kept:
                await self._room.settle(manifest.digest)

    async def _take(self, digest: Digest) -> PartialWriter | None:
        """Become the writer of a manifest's bytes; None when they are here.

        Whoever has them in hand is done in a moment: another process that stores the same, or one
        that looks what the dead have left.
        """
        for _ in range(ATTEMPTS):
            if await self._store.stat(digest) is not None:
                return None
            writer = self._ingests.take(digest)
            if writer is not None:
                return writer
            await asyncio.sleep(POLL)
        raise StoreError(str(digest), "another process has held its part for too long")

    async def recall(self, digest: Digest, media_type: str) -> Manifest | None:
        """Bring back a stored manifest; None when its bytes are not here (any more).

        What a disk has spoilt is set aside, so that it is fetched and written again.
        """
        size = await self._store.stat(digest)
        if size is None:
            return None
        try:
            raw = b"".join([piece async for piece in self._store.read(digest, Span(0, size))])
        except StoreError as error:
            if await self._store.stat(digest) is not None:  # else it was evicted meanwhile
                with suppress(OSError, StoreError):
                    await self._room.quarantine(digest, str(error))
            return None
        if not digest.matches(raw):
            with suppress(OSError, StoreError):  # what cannot be taken away is found out again
                await self._room.quarantine(digest, "its bytes have changed on disk")
            return None
        try:
            return parse_manifest(raw, media_type, digest)
        except ManifestInvalid as error:
            self._log.error("manifest of another kind", manifest=str(digest), why=str(error))
            return None
