"""Storing verified manifests: the bytes first, then the files under `tags/`, then the catalog."""

from dataclasses import replace

from registry.catalog.manifests import ManifestCatalog
from registry.content.content import Content
from registry.errors import ManifestInvalid, StoreError
from registry.logs import get_logger
from registry.oci.digest import Digest
from registry.oci.manifest import LARGE, MAX_MANIFEST, Manifest, parse_manifest
from registry.oci.names import Repository, Tag
from registry.store.tags import TagFiles, TagTarget
from registry.tasks import in_thread

WAIT = 5.0  # seconds to wait for another process that stores the same manifest
OWNER = "a manifest"  # no name of a registry: the partial file is beside that of a download


class ManifestStore:
    """Stores manifests, records which manifest a tag leads to, and reads manifests.

    `catalog` knows which manifests each repository has, and which tags lead to them.
    """

    def __init__(self, content: Content, tags: TagFiles, catalog: ManifestCatalog) -> None:
        self.catalog = catalog
        self._content = content
        self._tags = tags
        self._log = get_logger("registry.content")

    async def keep(
        self,
        repository: Repository,
        manifest: Manifest,
        tag: Tag | None,
        now: float,
        *,
        warning: str = "",
    ) -> bool:
        """Do the same as `put`, but log a refusal of the disk; return whether it was stored.

        The error is not raised, because the client gets its manifest even if it is not stored.
        """
        try:
            await self.put(repository, manifest, tag, now, warning=warning)
        except (StoreError, OSError) as error:
            image = f"{repository}@{manifest.digest}"
            self._log.error("manifest not stored", image=image, why=str(error))
            return False
        return True

    async def put(
        self,
        repository: Repository,
        manifest: Manifest,
        tag: Tag | None,
        now: float,
        *,
        warning: str = "",
    ) -> None:
        """Store a manifest of `repository`, and record that `tag` leads to it.

        An upstream has confirmed this at `now`. `warning` is what clients are told about the tag.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        if await self._content.blobs.stat(manifest.digest) is None:
            await self._store_bytes(manifest)
        await self.put_names(repository, manifest, tag, now, warning=warning)

    async def put_names(
        self,
        repository: Repository,
        manifest: Manifest,
        tag: Tag | None,
        now: float,
        *,
        bundle: str = "",
        signer: str = "",
        warning: str = "",
        with_blobs: bool = False,
    ) -> None:
        """Record that `repository` has a stored manifest, and that `tag` leads to it.

        If a bundle confirms this, `bundle` is the id of the bundle, and `signer` the name of the
        key that signed the bundle. If an upstream confirms it, both are empty. For `warning` and
        `with_blobs` see `ManifestCatalog.record`.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        target = TagTarget(str(manifest.digest), manifest.media_type, now)
        await self._tags.write(repository, manifest.digest, target)
        if tag is not None:
            await self._tags.write(repository, tag, replace(target, bundle=bundle, signer=signer))
        await self.catalog.record(
            repository,
            manifest,
            tag,
            now,
            bundle=bundle,
            signer=signer,
            warning=warning,
            with_blobs=with_blobs,
        )

    async def confirm(
        self, repository: Repository, tag: Tag, digest: Digest, now: float, warning: str = ""
    ) -> None:
        """Record that an upstream said at `now` that the tag still leads to this manifest.

        `warning` is what clients are told about the tag. From then on no bundle confirms the tag.
        If the tag leads to another manifest here, because another process has moved it or the disk
        has refused the manifest, nothing is changed.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        record = self.catalog.find_tag(repository, tag)
        if record is not None and record.bundle:
            target = await self._tags.read(repository, tag)
            if target is not None and target.digest == str(digest):
                target = replace(target, seen=now, bundle="", signer="")
                await self._tags.write(repository, tag, target)
        await self.catalog.confirm_tag(repository, tag, digest, now, warning)

    async def keep_bytes(self, manifest: Manifest) -> bool:
        """Store the bytes of a known manifest again if they are missing; its names are not changed.

        A refusal of the disk is logged. Returns whether the bytes are stored now.
        """
        try:
            if await self._content.blobs.stat(manifest.digest) is None:
                await self._store_bytes(manifest)
        except (StoreError, OSError) as error:
            self._log.error("manifest not stored", image=str(manifest.digest), why=str(error))
            return False
        return True

    async def _store_bytes(self, manifest: Manifest) -> None:
        ingest = await self._content.wait_for_ingest(manifest.digest, WAIT, OWNER)
        if ingest is None:
            return
        async with ingest:
            try:
                await ingest.restart()  # bytes of an earlier writer are not needed
                await ingest.append_first(manifest.raw, len(manifest.raw))
                await ingest.commit()
            except BaseException:
                await ingest.abort()
                raise

    async def recall(self, digest: Digest, media_type: str) -> Manifest | None:
        """Read a stored manifest; None if its bytes are not stored (any more), or are damaged.

        A damaged manifest is moved to quarantine, and is then downloaded again.
        """
        raw = await self._content.read_all(digest, MAX_MANIFEST)
        if raw is None:
            return None
        try:
            if len(raw) > LARGE:
                return await in_thread(parse_manifest, raw, media_type, digest)
            return parse_manifest(raw, media_type, digest)
        except ManifestInvalid as error:
            why = str(error)
            self._log.error("manifest has another type", manifest=str(digest), why=why)
            return None
