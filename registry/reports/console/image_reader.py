"""Reads all about one image, from the catalog and from the stored manifests."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from registry.catalog.image_pages import ImagePageCatalog, NamedRow
from registry.catalog.manifests import ManifestCatalog
from registry.catalog.pins import Pin
from registry.catalog.pull_clients import PullClientCatalog
from registry.content.content import Content
from registry.content.deletion import ImageDeletion
from registry.errors import ImageUnknown
from registry.oci import platforms as oci_platforms
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST
from registry.oci.names import Reference, Repository, Tag, format_image
from registry.reports.console.image_detail import (
    FetchPlan,
    ImageDetail,
    PlatformDetail,
    PullReport,
    find_platforms,
    plan_fetch,
    read_manifest,
    report_platform,
)
from registry.reports.console.images import ImageRow
from registry.reports.tag_history import TagReport

SHOWN_PULLS = 50
SHOWN_OTHERS = 100  # tags of the same repository
LARGEST_CONFIG = 8 * 1024 * 1024  # bytes; larger blobs are not configs


@dataclass(frozen=True, slots=True)
class ImageReader:
    """Describes one image; `read_history` returns the report of a tag, or None."""

    pages: ImagePageCatalog
    manifests: ManifestCatalog
    clients: PullClientCatalog
    content: Content
    deletion: ImageDeletion
    read_history: Callable[[Repository, Tag], Awaitable[TagReport | None]]
    is_configured: Callable[[str], bool]
    list_pins: Callable[[], Sequence[Pin]]

    async def describe(self, repository: Repository, reference: Reference) -> ImageDetail:
        """Return all about an image.

        Raises:
            ImageUnknown: it is not known here.
            StoreError: the catalog or the disk refused.
        """
        row = await self.pages.find(str(repository), str(reference))
        if row is None:
            raise ImageUnknown(format_image(repository, reference))
        digest = Digest.parse(row.digest)
        parts = await self.pages.measure([row.digest])
        pulls = await self.clients.list_pulls(row.repository, row.digest, SHOWN_PULLS)
        frees, kept_by = await self.plan_removal(repository, reference)
        record = history = None
        if isinstance(reference, Tag):
            record = self.manifests.find_tag(repository, reference)
            history = await self.read_history(repository, reference)
        tags = self.manifests.list_tags(repository)
        return ImageDetail(
            image=ImageRow.of(row, parts[row.digest]),
            media_type=self.manifests.find_media_type(digest) or "",
            seen=row.seen,
            frees=frees,
            kept_by=kept_by,
            platforms=await self._read_platforms(row),
            history=history,
            pulls=[PullReport(each.client, each.reference, each.pulled) for each in pulls],
            others=[tag for tag in tags if tag != str(reference)][:SHOWN_OTHERS],
            warning=record.warning if record else "",
            bundle=record.bundle if record else "",
            is_configured=self.is_configured(repository.registry),
        )

    def plan_fetch(
        self,
        repository: Repository,
        reference: Reference,
        detail: ImageDetail | None,
        platform: str,
    ) -> FetchPlan:
        """Return what a download will fetch; `detail` is what is known of the image, or None.

        Raises:
            StoreError: the catalog refused.
        """
        name = repository, reference
        pins = [pin for pin in self.list_pins() if (pin.repository, pin.reference) == name]
        pinned = [root.platform for pin in pins for root in pin.roots]
        return plan_fetch(detail, platform, pinned)

    async def plan_removal(
        self, repository: Repository, reference: Reference
    ) -> tuple[int | None, str]:
        """Return how many bytes the removal of an image frees, or which pin keeps it.

        Raises:
            StoreError: the catalog refused.
        """
        plan = await self.deletion.plan([(repository, reference)])
        if plan.refused:
            return None, next(iter(plan.refused.values()))
        return sum(sum(removal.blobs.values()) for removal in plan.removals), ""

    async def _read_platforms(self, row: NamedRow) -> list[PlatformDetail]:
        root = Digest.parse(row.digest)
        media_type = self.manifests.find_media_type(root) or ""
        raw = await self.content.read_all(root, MAX_MANIFEST)
        found = find_platforms(raw, media_type, row.digest)
        return [await self._read_platform(digest, name) for digest, name in found.items()]

    async def _read_platform(self, digest: str, platform: str) -> PlatformDetail:
        parsed = Digest.parse(digest)
        media_type = self.manifests.find_media_type(parsed) or ""
        raw = await self.content.read_all(parsed, MAX_MANIFEST) if media_type else None
        manifest = None if raw is None else read_manifest(raw, media_type)
        if manifest is None:
            return report_platform(platform, digest, None, ())
        stored = await self.pages.list_stored(str(each.digest) for each in manifest.blobs)
        if not platform and manifest.blobs:
            config = await self.content.read_all(manifest.blobs[0].digest, LARGEST_CONFIG)
            platform = oci_platforms.read_platform(config) if config else ""
        return report_platform(platform, digest, manifest, stored)
