"""How a verified manifest becomes known: bytes first, then what points to them, then the index."""

from contextlib import suppress

import structlog

from registry.catalog.manifests import ManifestCatalog
from registry.errors import ManifestInvalid, StoreError
from registry.mirror.room import RoomKeeper
from registry.mirror.tasks import in_thread
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest, parse_manifest
from registry.oci.names import Repository, Tag
from registry.oci.span import Span
from registry.store.blobs import BlobStore
from registry.store.references import Pointer, ReferenceFiles
from registry.store.spool import Spool


class Intake:
    """Keeps manifests, and brings them back."""

    def __init__(
        self,
        spool: Spool,
        store: BlobStore,
        files: ReferenceFiles,
        catalog: ManifestCatalog,
        room: RoomKeeper,
    ) -> None:
        self._spool = spool
        self._store = store
        self._files = files
        self._catalog = catalog
        self._room = room
        self._log = structlog.get_logger("registry.mirror")

    async def keep(
        self, repository: Repository, manifest: Manifest, tag: Tag | None, now: float
    ) -> None:
        """Keep a manifest of `repository`, and that `tag` leads to it.

        A disk that refuses is logged, not raised: the client has its manifest either way.
        """
        try:
            await self._store_bytes(manifest)
            pointer = Pointer(str(manifest.digest), manifest.media_type, now)
            await self._files.write(repository, manifest.digest, pointer)
            if tag is not None:
                await self._files.write(repository, tag, pointer)
            await self._catalog.record(repository, manifest, tag, now)
        except (StoreError, OSError) as error:
            self._log.error(
                "manifest not kept", image=f"{repository}@{manifest.digest}", why=str(error)
            )

    async def _store_bytes(self, manifest: Manifest) -> None:
        if await self._store.stat(manifest.digest) is not None:
            return
        writer = self._spool.take(manifest.digest)
        if writer is None:
            return  # another process is storing the very same bytes
        try:
            await self._room.reserve(manifest.digest, len(manifest.raw))
            writer.restart()
            await in_thread(writer.append, [manifest.raw])
            sealed = await in_thread(writer.seal)
            await self._store.adopt(sealed)
            await self._room.record(sealed.digest, sealed.size)
        except StoreError:
            writer.abandon()
            await self._room.settle(manifest.digest)
            raise
        finally:
            writer.close()

    async def recall(self, digest: Digest, media_type: str) -> Manifest | None:
        """Bring back a stored manifest; None when its bytes are not here (any more).

        What a disk has spoilt is taken away, so that it is fetched and written again.
        """
        size = await self._store.stat(digest)
        if size is None:
            return None
        raw = b"".join([piece async for piece in self._store.read(digest, Span(0, size))])
        try:
            if digest.matches(raw):
                return parse_manifest(raw, media_type, digest)
            why = "its bytes have changed on disk"
        except ManifestInvalid as error:
            why = str(error)
        self._log.error("stored manifest thrown away", manifest=str(digest), why=why)
        with suppress(OSError):  # what cannot be taken away is found out again the next time
            await self._store.delete(digest)
        return None
