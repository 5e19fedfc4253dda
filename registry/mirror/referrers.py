"""Manifests that refer to an image: signatures, SBOMs, attestations."""

import asyncio
from collections.abc import Iterator, Sequence

from registry.errors import DigestInvalid, EntrepotError, Unknown
from registry.mirror.manifests import Manifests
from registry.mirror.tags_and_referrers import TagsAndReferrers
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Repository, Tag

AT_ONCE = 4  # requests at the same time for one image
COSIGN = (".sig", ".att", ".sbom")  # suffixes of the tags that cosign makes from a digest


class ReferrerFetcher:
    """Downloads manifests that refer to images; an image without referrers is not a failure."""

    def __init__(self, manifests: Manifests, lists: TagsAndReferrers) -> None:
        self._manifests = manifests
        self._lists = lists

    async def fetch(
        self, repository: Repository, subjects: Sequence[Digest]
    ) -> tuple[list[Manifest], list[EntrepotError]]:
        """Return the manifests that refer to `subjects`, and the errors of failed requests.

        Tags are first asked for by HEAD, so that only existing tags count against the pull limit.
        """
        gate = asyncio.Semaphore(AT_ONCE)
        found: dict[Digest, Manifest] = {}
        failures: list[EntrepotError] = []

        async def follow(reference: Reference) -> None:
            try:
                async with gate:
                    manifest = (await self._manifests.refresh(repository, reference)).manifest
            except Unknown:
                return
            except EntrepotError as error:
                failures.append(error)
                return
            found[manifest.digest] = manifest
            if manifest.media_type in media_types.INDEXES:  # the list of the referrers tag scheme
                await asyncio.gather(*(follow(child.digest) for child in manifest.children))

        async def look(subject: Digest) -> None:
            tag = f"{subject.algorithm}-{subject.encoded}"
            references: list[Reference] = [Tag(f"{tag}{suffix}") for suffix in COSIGN]
            try:
                async with gate:
                    listed = await self._lists.list_referrers(repository, subject)
                references += _read_digests(listed.entries)
            except Unknown:
                references.append(Tag(tag))
            except EntrepotError as error:
                failures.append(error)
            await asyncio.gather(*map(follow, references))

        await asyncio.gather(*map(look, subjects))
        return list(found.values()), failures


def _read_digests(entries: Sequence[dict[str, object]]) -> Iterator[Digest]:
    for entry in entries:
        try:
            yield Digest.parse(str(entry.get("digest")))
        except DigestInvalid:  # the upstream listed a text that is not a digest
            continue
