"""A registry as a `Source`: a client of the pull API (distribution-spec, "Pull")."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

from registry.errors import (
    BlobUnknown,
    NameUnknown,
    ReferrersUnsupported,
    UpstreamFaulty,
    UpstreamLoop,
)
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_DESCRIPTORS, Manifest
from registry.oci.names import Reference, Tag, is_tag
from registry.upstream.blob_download import BlobDownloader
from registry.upstream.blob_size import read_size, read_whole_size
from registry.upstream.contract import Fallback, TagAnswer, UpstreamList
from registry.upstream.documents import is_shallow
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.failures import HeadRefused, RedirectBroken
from registry.upstream.manifest_questions import ManifestQuestions
from registry.upstream.pacing import Pace, Unpaced
from registry.upstream.pagination import LARGE_AT_ONCE, Listing, collect_pages
from registry.upstream.race import Question
from registry.upstream.ranking import USUAL
from registry.upstream.request import Request, check_content_type
from registry.upstream.statuses import Resource
from registry.upstream.tag_policy import TagPolicy, advising


class RegistrySource:
    """The upstream registry `name` behind a pool of endpoints; implements `Source`."""

    def __init__(
        self, name: str, pool: EndpointPool, policy: TagPolicy[Endpoint] | None = None
    ) -> None:
        """`policy` says which endpoints may say what a tag means (None: the first that answers)."""
        self.name = name
        self._pool = pool
        self._policy: TagPolicy[Endpoint] = TagPolicy() if policy is None else policy
        self._manifests = ManifestQuestions(name, pool, self._policy)
        self._long_lists = asyncio.Semaphore(LARGE_AT_ONCE)

    async def head_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Digest | None:
        """Return the digest in the answer to a HEAD; None if only a GET can answer."""
        return await self._manifests.head(repository, reference, fallback)

    async def resolve_tag(
        self, repository: str, tag: Tag, *, fallback: Fallback = Fallback.NONE
    ) -> TagAnswer:
        """Return what a tag leads to, from the endpoints that may say so."""
        return await self._manifests.resolve(repository, tag, fallback)

    async def get_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Manifest:
        """Fetch, verify and parse a manifest; an invalid manifest is a faulty answer."""
        return await self._manifests.get(repository, reference, fallback)

    async def leads_back(self) -> bool:
        """Whether an endpoint that is asked first has sent the request that this task answers."""
        named = self._pool.candidates(without=self._policy.not_asked)[0]
        firsts = {named, *(self._pool.candidates(size=size)[0] for size in (0, USUAL))}
        return any(await asyncio.gather(*(each.leads_back() for each in firsts)))

    async def head_blob(self, repository: str, digest: Digest) -> int | None:
        """Return the size in the answer to a HEAD; None if the answer has none.

        If a HEAD is refused, the first byte is asked for.
        """
        request = self._blob_request("HEAD", repository, digest)

        async def ask(endpoint: Endpoint) -> int | None:
            learned = endpoint.learned
            if not learned.is_head_useless(Resource.BLOB):
                try:
                    async with endpoint.request(request) as answer:
                        check_content_type(answer)
                        learned.trust_head(Resource.BLOB, repository)
                        return read_whole_size(answer.response.headers)
                except HeadRefused:
                    pass
            size = await read_size(endpoint, replace(request, method="GET"))
            learned.refuse_head(Resource.BLOB)
            return size

        return await self._pool.ask(ask, is_hedged=True, repository=repository)

    def open_blob(
        self, repository: str, digest: Digest, size: int | None, *, pace: Pace | None = None
    ) -> BlobDownloader:
        """Prepare to read a blob of `size` bytes (None: not known); this sends no request."""
        request = self._blob_request("GET", repository, digest)
        return BlobDownloader(self._pool, request, size, pace or Unpaced())

    def is_trial_due(self, repository: str) -> bool:
        """Whether a suspect may show now that it sends right bytes; this sends no request."""
        return self._pool.choose_tried(repository) is not None

    def open_trial(
        self, repository: str, digest: Digest, size: int, *, pace: Pace
    ) -> BlobDownloader | None:
        """Prepare to read a blob from such a suspect alone; it counts as tried now."""
        tried = self._pool.choose_tried(repository)
        if tried is None:
            return None
        self._pool.suspects.mark([tried.origin])
        download = self.open_blob(repository, digest, size, pace=pace)
        download.exclude([each.origin for each in self._pool.endpoints if each is not tried])
        return download

    def _blob_request(self, method: str, repository: str, digest: Digest) -> Request:
        text = str(digest)
        missing = partial(BlobUnknown, f"{self.name}/{repository}", text)
        return Request(method, f"{repository}/blobs/{text}", repository, missing, Resource.BLOB)

    async def list_tags(
        self, repository: str, *, fallback: Fallback = Fallback.NONE
    ) -> UpstreamList:
        """Fetch every page of the tags list, from an endpoint that may say what a tag means."""
        missing = partial(NameUnknown, f"{self.name}/{repository}")
        request = Request(
            "GET",
            f"{repository}/tags/list",
            repository,
            missing,
            Resource.TAGS,
            fallback=fallback,
        )
        listing = Listing(request, "tags", is_tag, "tags", self._long_lists, has_last=True)

        async def ask(endpoint: Endpoint) -> UpstreamList:
            return await collect_pages(endpoint, listing)

        found = await self._ask_for_list(ask, request)
        return UpstreamList(sorted(found.entries), found.warning)

    async def list_referrers(
        self, repository: str, digest: Digest, *, fallback: Fallback = Fallback.NONE
    ) -> UpstreamList:
        """Fetch every page of the referrers list without a filter, because the mirror filters.

        Nothing verifies a list, so the same endpoints are asked as for a tag.
        """
        missing = partial(ReferrersUnsupported, f"{self.name}/{repository}")
        request = Request(
            "GET",
            f"{repository}/referrers/{digest}",
            repository,
            missing,
            Resource.REFERRERS,
            fallback=fallback,
        )
        listing = Listing(
            request,
            "manifests",
            _is_descriptor,
            "descriptors",
            self._long_lists,
            media_type=media_types.OCI_INDEX,
            most=MAX_DESCRIPTORS,
        )

        async def ask(endpoint: Endpoint) -> UpstreamList:
            try:
                return await collect_pages(endpoint, listing)
            except UpstreamLoop:
                raise
            except (UpstreamFaulty, RedirectBroken) as error:
                # Registries without the API answer an unknown path with a web page, or redirect to
                # a login page, which may not be reachable from here.
                raise missing() from error

        return await self._ask_for_list(ask, request, is_optional=True)

    async def _ask_for_list(
        self, ask: Question[UpstreamList], request: Request, *, is_optional: bool = False
    ) -> UpstreamList:
        """Ask the endpoints that may say what a tag means; see `EndpointPool.ask`."""
        not_asked = self._policy.not_asked
        with advising(self.name, not_asked):
            return await self._pool.ask(
                ask,
                fallback=request.fallback,
                is_optional=is_optional,
                without=not_asked,
                repository=request.repository,
            )


def _is_descriptor(value: Any) -> bool:
    return isinstance(value, dict) and is_shallow(value)
