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
from registry.oci.referrers_tags import cosign_tags, referrers_tag

AT_ONCE = 4  # requests at the same time for one image
MOST = 200  # manifests of one image whose referrers are looked for


class ReferrerFetcher:
    """Downloads manifests that refer to images; an image without referrers is not a failure."""

    def __init__(self, manifests: Manifests, lists: TagsAndReferrers) -> None:
        self._manifests = manifests
        self._lists = lists

    async def fetch(
        self, repository: Repository, images: Sequence[Digest], attestations: Sequence[Digest]
    ) -> tuple[list[Manifest], list[EntrepotError]]:
        """Return the manifests that refer to these, and the errors of failed requests.

        The referrers of a referrer are found too, such as the signature of an SBOM. Only `images`
        can have tags that cosign made.
        """
        search = _Search(self._manifests, self._lists, repository)
        await asyncio.gather(
            *(search.look(image, cosign_tags(image)) for image in images),
            *(search.look(attestation) for attestation in attestations),
        )
        return list(search.found.values()), search.failures


class _Search:
    """One search for the referrers of the manifests of one image."""

    def __init__(
        self, manifests: Manifests, lists: TagsAndReferrers, repository: Repository
    ) -> None:
        self.found: dict[Digest, Manifest] = {}
        self.failures: list[EntrepotError] = []
        self._manifests = manifests
        self._lists = lists
        self._repository = repository
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._subjects: set[Digest] = set()

    async def look(self, subject: Digest, tags: Sequence[Tag] = ()) -> None:
        """Find the manifests that refer to `subject`, and those that `tags` lead to.

        Tags are first asked for by HEAD, so that only existing tags count against the pull limit.
        """
        if subject in self._subjects or len(self._subjects) >= MOST:
            return
        self._subjects.add(subject)
        references: list[Reference] = [*tags]
        try:
            async with self._gate:
                listed = await self._lists.list_referrers(self._repository, subject, must_ask=True)
            references += _read_digests(listed.entries)
        except Unknown:
            references.append(referrers_tag(subject))
        except EntrepotError as error:
            self.failures.append(error)
        await asyncio.gather(*map(self._follow, references))

    async def _follow(self, reference: Reference) -> None:
        try:
            async with self._gate:
                manifest = (await self._manifests.refresh(self._repository, reference)).manifest
        except Unknown:
            return
        except EntrepotError as error:
            self.failures.append(error)
            return
        self.found[manifest.digest] = manifest
        if manifest.media_type in media_types.INDEXES:  # the list of the referrers tag scheme
            await asyncio.gather(*(self._follow(child.digest) for child in manifest.children))
        else:
            await self.look(manifest.digest)


def _read_digests(entries: Sequence[dict[str, object]]) -> Iterator[Digest]:
    for entry in entries:
        try:
            yield Digest.parse(str(entry.get("digest")))
        except DigestInvalid:  # the upstream listed a text that is not a digest
            continue
