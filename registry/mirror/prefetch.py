"""Downloading whole images before a client asks for them."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from registry.errors import (
    EntrepotError,
    PlatformUnknown,
    PullsReserved,
    StoreFull,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamFaulty,
)
from registry.mirror.blobs import Blobs
from registry.mirror.manifests import Manifests
from registry.mirror.referrers import ReferrerFetcher
from registry.oci import media_types
from registry.oci import platforms as oci_platforms
from registry.oci.digest import Digest
from registry.oci.foreign_layers import describe_foreign
from registry.oci.manifest import Descriptor, Manifest
from registry.oci.names import Reference, Repository, format_image

AT_ONCE = 4  # blobs of one image that are downloaded at the same time


@dataclass(slots=True)
class PrefetchResult:
    """The result for one image: the digest that the name leads to now, and `fetched` bytes.

    `attached` is the number of signatures, SBOMs and attestations that are stored with the image.
    `unavailable` are wanted platforms for which the index has no manifest, if it has manifests for
    other wanted platforms. `only_platform` is the platform of an image without an index, if another
    platform was wanted. `failures` are sentences about failed downloads, and `is_full` says whether
    one of them is about missing space. `foreign` are sentences about layers that the upstream does
    not have, because clients download them from elsewhere. `is_held_back` says that manifests are
    missing because the rest of the pull limit is reserved for clients, which is no failure.
    `warning` is what clients are told about the name, such as that it leads to a former image.
    """

    digest: Digest
    fetched: int = 0
    attached: int = 0
    unavailable: list[str] = field(default_factory=list)
    only_platform: str = ""
    failures: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    is_full: bool = False
    is_held_back: bool = False
    warning: str = ""

    def add_failure(self, error: EntrepotError) -> None:
        """Add the sentence about a failed download, unless an equal one is there already.

        If there is no space for one blob, there is hardly any for the others: that is told once.
        """
        if isinstance(error, PullsReserved):
            self.is_held_back = True
            return
        is_told = self.is_full and isinstance(error, StoreFull)
        self.is_full = self.is_full or isinstance(error, StoreFull)
        if not is_told and (text := format_failure(error)) not in self.failures:
            self.failures.append(text)


class PrefetchListener(Protocol):
    """Is called with the progress of a prefetch, to show it."""

    def expect(self, image: str, blobs: Iterable[Descriptor]) -> None:
        """The prefetch is going to download these blobs for an image."""

    def begin(self, blob: Descriptor) -> None:
        """The download of a blob begins."""

    def end(self, blob: Descriptor, *, is_whole: bool) -> None:
        """The download of a blob has ended; `is_whole` unless it failed."""


class Prefetcher:
    """Downloads the missing manifests and blobs of images."""

    def __init__(self, manifests: Manifests, blobs: Blobs, referrers: ReferrerFetcher) -> None:
        self._manifests = manifests
        self._blobs = blobs
        self._referrers = referrers

    async def warm(
        self,
        repository: Repository,
        reference: Reference,
        platforms: Sequence[str],
        *,
        watch: PrefetchListener | None = None,
        with_attached: bool = False,
    ) -> PrefetchResult:
        """Ask the upstream what `reference` leads to now, and download its missing parts.

        For an index, only the manifests for `platforms` are downloaded; all if `platforms` is
        empty.

        Raises:
            Unknown, UpstreamError: the upstream does not have the image, or does not answer.
            PlatformUnknown: it is an index without a manifest for any of these platforms.
            StoreError: the disk or the catalog refused.
        """
        served = await self._manifests.refresh(repository, reference)
        result = PrefetchResult(served.manifest.digest, warning=served.warning)
        image = format_image(repository, reference)
        chosen = choose_manifests(image, served.manifest, platforms)
        result.unavailable = find_unavailable(served.manifest, platforms)
        manifests = await self._follow(repository, chosen, result)
        if with_attached:
            attached = await self._fetch_attached(repository, served.manifest, chosen, result)
            result.attached = len(attached)
            manifests += attached
        blobs = {blob.digest: blob for manifest in manifests for blob in manifest.blobs}
        missing = [
            blob
            for blob in blobs.values()
            if not await self._blobs.is_here(repository, blob.digest)
        ]
        if watch is not None:
            watch.expect(image, missing)
        await self._fetch(repository, missing, result, watch=watch)
        result.only_platform = await self._find_only_platform(served.manifest, platforms)
        return result

    async def fetch_root(self, repository: Repository, reference: Reference) -> None:
        """Download the manifest of an image, or its index, and nothing else; raises as `warm`."""
        await self._manifests.refresh(repository, reference)

    def measure(self, blob: Descriptor) -> int:
        """Return how many bytes of a blob were downloaded until now."""
        return self._blobs.measure(blob.digest)

    async def _find_only_platform(self, root: Manifest, platforms: Sequence[str]) -> str:
        if root.media_type in media_types.INDEXES or not root.blobs:
            return ""
        found = oci_platforms.read_platform(await self._blobs.read_small(root.blobs[0]))
        return found if found and oci_platforms.is_for_another(found, platforms) else ""

    async def _follow(
        self, repository: Repository, digests: Iterable[Digest], result: PrefetchResult
    ) -> list[Manifest]:
        found = []
        for digest in digests:
            try:
                found.append((await self._manifests.refresh(repository, digest)).manifest)
            except EntrepotError as error:
                result.add_failure(error)
        return found

    async def _fetch_attached(
        self,
        repository: Repository,
        root: Manifest,
        chosen: Sequence[Digest],
        result: PrefetchResult,
    ) -> list[Manifest]:
        attestations = find_attestations(root, chosen)
        attached = await self._follow(repository, attestations, result)
        images = list(dict.fromkeys((root.digest, *chosen)))
        found = await self._referrers.fetch(repository, images, attestations)
        for failure in found.failures:
            result.add_failure(failure)
        return [*attached, *found.manifests.values()]

    async def _fetch(
        self,
        repository: Repository,
        missing: Sequence[Descriptor],
        result: PrefetchResult,
        *,
        watch: PrefetchListener | None,
    ) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def fetch(blob: Descriptor) -> None:
            async with gate:
                is_whole = False
                if watch is not None:
                    watch.begin(blob)
                try:
                    if await self._blobs.fetch(repository, blob):
                        result.fetched += blob.size
                    is_whole = True
                except EntrepotError as error:
                    is_clear = isinstance(error, Unknown | UpstreamDenied | UpstreamFaulty)
                    if is_clear and blob.is_foreign:
                        result.foreign.append(describe_foreign(blob))
                    else:
                        result.add_failure(error)
                finally:
                    if watch is not None:
                        watch.end(blob, is_whole=is_whole)

        await asyncio.gather(*map(fetch, missing))


def choose_manifests(image: str, manifest: Manifest, platforms: Sequence[str]) -> list[Digest]:
    """Return the manifests that an index lists for these platforms; all if `platforms` is empty.

    If `manifest` is not an index, the result is the digest of the manifest. `image` is the name of
    the image for the error.

    Raises:
        PlatformUnknown: the index has no manifest for any of the platforms.
    """
    if manifest.media_type not in media_types.INDEXES:
        return [manifest.digest]
    if not platforms:
        return [child.digest for child in manifest.children]
    found = manifest.platforms
    chosen = [
        digest
        for wanted in platforms
        for digest, name in found.items()
        if oci_platforms.matches(wanted, name)
    ]
    if not chosen:
        raise PlatformUnknown(image, ", ".join(platforms), sorted(set(found.values())))
    return [Digest.parse(digest) for digest in dict.fromkeys(chosen)]


def find_unavailable(manifest: Manifest, platforms: Sequence[str]) -> list[str]:
    """Return the platforms for which an index has no manifest."""
    if manifest.media_type not in media_types.INDEXES:
        return []
    return oci_platforms.list_missing(platforms, manifest.platforms.values())


def find_attestations(root: Manifest, chosen: Sequence[Digest]) -> list[Digest]:
    """Return the attestations that BuildKit listed in an index for the chosen manifests."""
    if root.media_type not in media_types.INDEXES:
        return []
    proofs = oci_platforms.find_attestations(root.raw, set(map(str, chosen)))
    return [
        child.digest
        for child in root.children
        if str(child.digest) in proofs and child.digest not in chosen
    ]


def format_failure(error: EntrepotError) -> str:
    """Return the text of an error, with the time to try again if the upstream named one."""
    wait = error.retry_after if isinstance(error, UpstreamError) else None
    if not wait:
        return str(error)
    for length, unit in ((3600, "h"), (60, "min")):
        if wait >= 1.5 * length:
            return f"{error}; try again in {wait / length:.0f} {unit}"
    return f"{error}; try again in {wait:.0f} s"
