"""Fetching whole images, before anybody asks for them."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from registry.errors import EntrepotError, PlatformUnknown, UpstreamError
from registry.mirror.blobs import Blobs
from registry.mirror.manifests import Manifests
from registry.mirror.referrers import ReferrerFetcher
from registry.oci import media_types
from registry.oci import platforms as oci_platforms
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, Manifest
from registry.oci.names import Reference, Repository, format_image

AT_ONCE = 4  # blobs of one image


@dataclass(slots=True)
class PrefetchResult:
    """What a name leads to now; `fetched` bytes were not here; `failures` say what could not be.

    `attached` is how many signatures, SBOMs and attestations of it are here too; `absent` are the
    platforms asked for that it is not made for, while it is for others of them. `foreign` is the
    platform of an image without an index, where not all that was asked for is that.
    """

    digest: Digest
    fetched: int = 0
    attached: int = 0
    absent: list[str] = field(default_factory=list)
    foreign: str = ""
    failures: list[str] = field(default_factory=list)


class PrefetchListener(Protocol):
    """Who looks on while blobs that are not here are fetched."""

    def expect(self, image: str, blobs: Iterable[Descriptor]) -> None:
        """Hear which are going to be fetched for an image."""

    def begin(self, blob: Descriptor) -> None:
        """Hear that the fetching of one begins."""

    def end(self, blob: Descriptor, *, is_whole: bool) -> None:
        """Hear that it is over."""


class Prefetcher:
    """Has images stored, whole."""

    def __init__(self, manifests: Manifests, blobs: Blobs, attachments: ReferrerFetcher) -> None:
        self._manifests = manifests
        self._blobs = blobs
        self._attachments = attachments

    async def warm(
        self,
        repository: Repository,
        reference: Reference,
        platforms: Sequence[str],
        tell: Callable[[Descriptor], None] = lambda _: None,
        *,
        watch: PrefetchListener | None = None,
        with_attached: bool = False,
    ) -> PrefetchResult:
        """Ask what `reference` leads to now, and fetch what of it is not here.

        Of an index, manifests for `platforms` (all when empty). Every blob that is here is told.

        Raises:
            Unknown, UpstreamError, StoreError: the name leads nowhere, as far as can be told.
            PlatformUnknown: it is an index that has none for any of these platforms.
        """
        served = await self._manifests.refresh(repository, reference)
        warmed_image = PrefetchResult(served.manifest.digest)
        image = format_image(repository, reference)
        chosen = choose_manifests(image, served.manifest, platforms)
        warmed_image.absent = find_absent(served.manifest, platforms)
        manifests = await self._follow(repository, chosen, warmed_image)
        if with_attached:
            attached = await self._attach(repository, served.manifest, chosen, warmed_image)
            warmed_image.attached = len(attached)
            manifests += attached
        blobs = {blob.digest: blob for manifest in manifests for blob in manifest.blobs}
        missing = await self._list_missing(list(blobs.values()), tell)
        if watch is not None:
            watch.expect(image, missing)
        await self._fetch(repository, missing, warmed_image, tell, watch=watch)
        warmed_image.foreign = await self._find_foreign(served.manifest, platforms)
        return warmed_image

    def measure(self, blob: Descriptor) -> int:
        """Return how many bytes of a blob that is being fetched have landed."""
        return self._blobs.measure(blob.digest)

    async def _find_foreign(self, root: Manifest, platforms: Sequence[str]) -> str:
        if root.media_type in media_types.INDEXES or not root.blobs:
            return ""
        found = oci_platforms.read_platform(await self._blobs.read_small(root.blobs[0]))
        return found if found and oci_platforms.is_for_another(found, platforms) else ""

    async def _follow(
        self, repository: Repository, digests: Iterable[Digest], warmed_image: PrefetchResult
    ) -> list[Manifest]:
        found = []
        for digest in digests:
            try:
                found.append((await self._manifests.refresh(repository, digest)).manifest)
            except EntrepotError as error:
                warmed_image.failures.append(format_failure(error))
        return found

    async def _attach(
        self,
        repository: Repository,
        root: Manifest,
        chosen: Sequence[Digest],
        warmed_image: PrefetchResult,
    ) -> list[Manifest]:
        proofs = await self._follow(repository, find_attestations(root, chosen), warmed_image)
        subjects = dict.fromkeys((root.digest, *chosen))
        found, failures = await self._attachments.fetch(repository, list(subjects))
        warmed_image.failures += map(format_failure, failures)
        return [*proofs, *found]

    async def _list_missing(
        self, blobs: Sequence[Descriptor], tell: Callable[[Descriptor], None]
    ) -> list[Descriptor]:
        missing = [blob for blob in blobs if not await self._blobs.is_here(blob.digest)]
        for blob in blobs:
            if blob not in missing:
                tell(blob)
        return missing

    async def _fetch(
        self,
        repository: Repository,
        missing: Sequence[Descriptor],
        warmed_image: PrefetchResult,
        tell: Callable[[Descriptor], None],
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
                        warmed_image.fetched += blob.size
                    is_whole = True
                    tell(blob)
                except EntrepotError as error:
                    warmed_image.failures.append(format_failure(error))
                finally:
                    if watch is not None:
                        watch.end(blob, is_whole=is_whole)

        await asyncio.gather(*map(fetch, missing))


def choose_manifests(image: str, manifest: Manifest, platforms: Sequence[str]) -> list[Digest]:
    """Return the manifests of an index for these platforms (all when empty), or the image itself.

    Raises:
        PlatformUnknown: it has none for any of them.
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


def find_absent(manifest: Manifest, platforms: Sequence[str]) -> list[str]:
    """Return those of the platforms that an index has no manifest for."""
    if manifest.media_type not in media_types.INDEXES:
        return []
    return oci_platforms.list_missing(platforms, manifest.platforms.values())


def find_attestations(root: Manifest, chosen: Sequence[Digest]) -> list[Digest]:
    """Return what BuildKit put into an index about these of its manifests, without themselves."""
    if root.media_type not in media_types.INDEXES:
        return []
    proofs = oci_platforms.find_attestations(root.raw, set(map(str, chosen)))
    return [
        child.digest
        for child in root.children
        if str(child.digest) in proofs and child.digest not in chosen
    ]


def format_failure(error: EntrepotError) -> str:
    """Say what went wrong, and when to come again where that is known."""
    wait = error.retry_after if isinstance(error, UpstreamError) else None
    if not wait:
        return str(error)
    for length, unit in ((3600, "h"), (60, "min")):
        if wait >= 1.5 * length:
            return f"{error}; come again in {wait / length:.0f} {unit}"
    return f"{error}; come again in {wait:.0f} s"
