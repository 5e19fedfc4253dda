"""Fetching whole images, before anybody asks for them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from registry.errors import EntrepotError, PlatformUnknown
from registry.mirror.blobs import Blobs
from registry.mirror.manifests import Manifests
from registry.oci import media, platform
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor, Manifest
from registry.oci.names import Reference, Repository, spell_image

AT_ONCE = 4  # blobs of one image


@dataclass(slots=True)
class Warmed:
    """What a name leads to now; `fetched` bytes were not here; `failures` say what could not be."""

    digest: Digest
    fetched: int = 0
    failures: list[str] = field(default_factory=list)


class Warming:
    """Has images stored, whole."""

    def __init__(self, manifests: Manifests, blobs: Blobs) -> None:
        self._manifests = manifests
        self._blobs = blobs

    async def warm(
        self,
        repository: Repository,
        reference: Reference,
        platforms: Sequence[str],
        tell: Callable[[Descriptor], None],
    ) -> Warmed:
        """Ask what `reference` leads to now, and fetch what of it is not here.

        Of an index, manifests for `platforms` (all when empty). Every blob that is here is told.

        Raises:
            Unknown, UpstreamError, StoreError: the name leads nowhere, as far as can be told.
            PlatformUnknown: it is an index that has none for one of these platforms.
        """
        served = await self._manifests.refresh(repository, reference)
        warmed = Warmed(served.manifest.digest)
        blobs: dict[Digest, Descriptor] = {}
        image = spell_image(repository, reference)
        for child in _choose(image, served.manifest, platforms):
            try:
                manifest = (await self._manifests.refresh(repository, child)).manifest
            except EntrepotError as error:
                warmed.failures.append(str(error))
                continue
            blobs |= {blob.digest: blob for blob in manifest.blobs}
        gate = asyncio.Semaphore(AT_ONCE)

        async def fetch(blob: Descriptor) -> None:
            async with gate:
                try:
                    if await self._blobs.fetch(repository, blob):
                        warmed.fetched += blob.size
                    tell(blob)
                except EntrepotError as error:
                    warmed.failures.append(str(error))

        await asyncio.gather(*map(fetch, blobs.values()))
        return warmed


def _choose(image: str, manifest: Manifest, platforms: Sequence[str]) -> list[Digest]:
    if manifest.media_type not in media.INDEXES:
        return [manifest.digest]
    if not platforms:
        return [child.digest for child in manifest.children]
    found = platform.read_platforms(manifest.raw)
    chosen = []
    for wanted in platforms:
        for_it = [digest for digest, name in found.items() if platform.matches(wanted, name)]
        if not for_it:
            raise PlatformUnknown(image, wanted, sorted(set(found.values())))
        chosen += for_it
    return [Digest.parse(digest) for digest in dict.fromkeys(chosen)]
