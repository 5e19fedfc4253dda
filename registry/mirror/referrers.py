"""Manifests that refer to an image: signatures, SBOMs, attestations."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from registry.errors import DigestInvalid, EntrepotError, Unknown, UpstreamFaulty
from registry.mirror.manifests import Manifests
from registry.mirror.tags_and_referrers import TagsAndReferrers
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Repository, Tag
from registry.oci.referrers_tags import cosign_tags, is_referrer, referrers_tag

AT_ONCE = 4  # requests at the same time for one image
MOST = 200  # manifests of one image whose referrers are looked for
MOST_REFERRERS = 1000  # of one image that are downloaded; an upstream may list any number


@dataclass(slots=True)
class FoundReferrers:
    """The result of a search for referrers; an image without any is no failure.

    `failures` are about referrers that could not be downloaded, and questions without an answer.
    """

    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    failures: list[EntrepotError] = field(default_factory=list)


class ReferrerFetcher:
    """Downloads manifests that refer to images; an image without referrers is not a failure."""

    def __init__(self, manifests: Manifests, lists: TagsAndReferrers) -> None:
        self._manifests = manifests
        self._lists = lists

    async def fetch(
        self, repository: Repository, images: Sequence[Digest], attestations: Sequence[Digest]
    ) -> FoundReferrers:
        """Download the manifests that refer to these.

        The referrers of a referrer are found too, such as the signature of an SBOM. Only `images`
        can have tags that cosign made.
        """
        search = _Search(self._manifests, self._lists, repository)
        await asyncio.gather(
            *(search.look(image, cosign_tags(image)) for image in images),
            *(search.look(attestation) for attestation in attestations),
        )
        return search.result


class _Search:
    """One search for the referrers of the manifests of one image."""

    def __init__(
        self, manifests: Manifests, lists: TagsAndReferrers, repository: Repository
    ) -> None:
        self.result = FoundReferrers()
        self._manifests = manifests
        self._lists = lists
        self._repository = repository
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._subjects: set[Digest] = set()
        self._left = MOST_REFERRERS
        self._is_cut = False

    async def look(self, subject: Digest, signatures: Sequence[Tag] = ()) -> None:
        """Find the manifests that refer to `subject`, and those that `signatures` lead to."""
        if subject in self._subjects or len(self._subjects) >= MOST:
            return
        self._subjects.add(subject)
        await asyncio.gather(
            self._look_in_list(subject), *(self._look_at_tag(subject, tag) for tag in signatures)
        )

    async def _look_in_list(self, subject: Digest) -> None:
        try:
            async with self._gate:
                listed = await self._lists.list_referrers(self._repository, subject, must_ask=True)
        except Unknown:
            await self._look_at_tag(subject, referrers_tag(subject))
            return
        except EntrepotError as error:
            self.result.failures.append(error)
            return
        listed_digests = self._choose(_read_digests(listed.entries))
        await asyncio.gather(*map(self._follow, listed_digests))

    def _choose(self, listed: Iterator[Digest]) -> list[Digest]:
        """Return the digests that are followed: all, unless an image has too many referrers."""
        chosen = list(islice(listed, self._left))
        self._left -= len(chosen)
        if next(listed, None) is not None and not self._is_cut:
            self._is_cut = True
            why = (
                f"lists more than {MOST_REFERRERS} manifests that refer to this image;"
                " the others are left out"
            )
            self.result.failures.append(UpstreamFaulty(self._repository.registry, why))
        return chosen

    async def _look_at_tag(self, subject: Digest, tag: Tag) -> None:
        """Follow a tag that may not exist.

        It is asked for by HEAD first, so that only an existing tag counts against the pull limit.
        """
        try:
            async with self._gate:
                stored = await self._manifests.find_stored(self._repository, tag)
                if stored is not None and stored.digest in self._subjects:
                    return  # GitLab takes the tag for a digest, and answers with the image itself
                served = await self._manifests.refresh(self._repository, tag)
        except Unknown:
            return
        except EntrepotError as error:
            self.result.failures.append(error)
            return
        await self._sort(subject, tag, served.manifest)

    async def _sort(self, subject: Digest, tag: Tag, manifest: Manifest) -> None:
        """Take a manifest that a tag leads to, if it is about `subject`."""
        if manifest.digest in self._subjects:
            return
        is_list = manifest.media_type in media_types.INDEXES
        # The tags that cosign makes belong to the subject, although their manifests do not name it.
        named = subject if tag == referrers_tag(subject) else None
        if not is_list:
            await self._take(manifest, named)
            return
        children = self._choose(child.digest for child in manifest.children)
        follow = (self._follow(child, named) for child in children)
        if any(await asyncio.gather(*follow)):
            self.result.manifests[manifest.digest] = manifest

    async def _follow(self, digest: Digest, subject: Digest | None = None) -> bool:
        """Download a referrer that is known to exist; see `_take`."""
        try:
            async with self._gate:
                served = await self._manifests.refresh(self._repository, digest)
        except Unknown:
            return False
        except EntrepotError as error:
            self.result.failures.append(error)
            return False
        return await self._take(served.manifest, subject)

    async def _take(self, manifest: Manifest, subject: Digest | None = None) -> bool:
        """Note a referrer, and look for its own; with `subject`, only if it names this subject.

        Return whether it does.
        """
        if subject is not None and not is_referrer(manifest, subject):
            return False
        self.result.manifests[manifest.digest] = manifest
        if manifest.media_type not in media_types.INDEXES:
            await self.look(manifest.digest)
        return True


def _read_digests(entries: Sequence[dict[str, object]]) -> Iterator[Digest]:
    for entry in entries:
        try:
            yield Digest.parse(str(entry.get("digest")))
        except DigestInvalid:  # the upstream listed a text that is not a digest
            continue
