"""Storing verified manifests: the bytes first, then the files under `tags/`, then the catalog."""

from dataclasses import replace
from functools import partial

from registry.catalog.manifests import ManifestCatalog
from registry.catalog.tag_hold import NO_HOLD, TagHold
from registry.content.content import Content
from registry.content.tag_history import TagHistories, describe_rollback
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

    `catalog` knows which manifests each repository has, and which tags lead to them; `histories`
    has what the tags have led to before.
    """

    def __init__(
        self, content: Content, tags: TagFiles, catalog: ManifestCatalog, histories: TagHistories
    ) -> None:
        self.catalog = catalog
        self.histories = histories
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
        hold: TagHold = NO_HOLD,
    ) -> bool:
        """Do the same as `put`, but log a refusal of the disk; return whether it was stored.

        The error is not raised, because the client gets its manifest even if it is not stored.
        """
        try:
            await self.put(repository, manifest, tag, now, warning=warning, hold=hold)
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
        hold: TagHold = NO_HOLD,
    ) -> None:
        """Store a manifest of `repository`, and record that `tag` leads to it.

        An upstream was asked at `now`. `warning` is what clients are told about the tag, and `hold`
        why it does not follow its upstream.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        if await self._content.blobs.stat(manifest.digest) is None:
            await self._store_bytes(manifest)
        await self.put_names(repository, manifest, tag, now, warning=warning, hold=hold)

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
        hold: TagHold = NO_HOLD,
        with_blobs: bool = False,
    ) -> None:
        """Record that `repository` has a stored manifest, and that `tag` leads to it.

        If a bundle confirms this, `bundle` is the id of the bundle, and `signer` the name of the
        key that signed the bundle. If an upstream confirms it, both are empty. For `warning`,
        `hold` and `with_blobs` see `ManifestCatalog.record`. A tag that was rolled back stays so.

        Raises:
            StoreError, OSError: the disk or the catalog refused.
        """
        record = partial(
            self.catalog.record,
            repository,
            manifest,
            now=now,
            bundle=bundle,
            signer=signer,
            with_blobs=with_blobs,
        )
        target = TagTarget(str(manifest.digest), manifest.media_type, now)
        await self._tags.write(repository, manifest.digest, target)
        if tag is None:
            await record(tag=None)
            return
        if bundle:
            await self.histories.see(repository, tag, manifest.digest, now)
        # Until the row is written: an operator may be rolling the tag back at the moment.
        async with self.histories.hold(repository, tag):
            known = await self.histories.read(repository, tag)
            if not known.allows(manifest.digest):
                await record(tag=None)
                return
            if known.history.rolled_back_to:
                hold = TagHold(is_rolled_back=True)
                warning = describe_rollback(known.history)
            signed = replace(target, bundle=bundle, signer=signer)
            await self._tags.write(repository, tag, signed)
            await record(tag=tag, warning=warning, hold=hold)

    async def confirm(
        self,
        repository: Repository,
        tag: Tag,
        digest: Digest,
        now: float,
        *,
        warning: str = "",
        hold: TagHold = NO_HOLD,
    ) -> None:
        """Record that an upstream was asked at `now`, and that the tag still leads to a manifest.

        For `warning` and `hold` see `ManifestCatalog.confirm_tag`. From then on no bundle confirms
        the tag. If the tag leads to another manifest here, because another process has moved it or
        the disk has refused the manifest, nothing is changed.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        record = self.catalog.find_tag(repository, tag)
        if record is not None and record.bundle:
            target = await self._tags.read(repository, tag)
            if target is not None and target.digest == str(digest):
                target = replace(target, seen=now, bundle="", signer="")
                await self._tags.write(repository, tag, target)
        await self.catalog.confirm_tag(repository, tag, digest, now, warning=warning, hold=hold)

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
