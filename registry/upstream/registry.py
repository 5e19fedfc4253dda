"""A registry as a `Source`: a client of the pull API (distribution-spec, "Pull")."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import Any

from registry.errors import (
    BlobUnknown,
    DigestInvalid,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    ReferrersUnsupported,
    Unknown,
    UpstreamError,
    UpstreamFaulty,
    UpstreamLoop,
    UpstreamThrottled,
)
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import (
    LARGE,
    MAX_DESCRIPTORS,
    MAX_MANIFEST,
    Manifest,
    parse_manifest,
)
from registry.oci.names import Reference, is_tag
from registry.oci.referrers_tags import is_referrers_tag
from registry.upstream.blob_download import BlobDownloader
from registry.upstream.blob_size import read_size, read_whole_size
from registry.upstream.contract import Fallback, UpstreamList
from registry.upstream.documents import is_shallow
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.failures import HeadRefused, RedirectBroken
from registry.upstream.pacing import Pace, Unpaced
from registry.upstream.pagination import LARGE_AT_ONCE, Listing, collect_pages
from registry.upstream.request import Answer, Request, read_body
from registry.upstream.statuses import Resource


class RegistrySource:
    """The upstream registry `name` behind a pool of endpoints; implements `Source`."""

    def __init__(self, name: str, pool: EndpointPool) -> None:
        self.name = name
        self._pool = pool
        self._long_lists = asyncio.Semaphore(LARGE_AT_ONCE)

    async def head_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Digest | None:
        """Return the digest in the answer to a HEAD; None if only a GET can answer.

        If a HEAD is refused, a GET decides. Later, no HEAD is sent to an endpoint where it is of no
        use.
        """
        request = self._manifest_request("HEAD", repository, reference, fallback)
        refused: set[Endpoint] = set()

        async def ask(endpoint: Endpoint) -> Digest | None:
            if endpoint.learned.is_head_useless(Resource.MANIFEST):
                raise HeadRefused(endpoint.origin, "does not support HEAD")
            try:
                async with endpoint.request(request) as answer:
                    _check_content_type(answer)
                    digest = _read_digest(answer)
            except HeadRefused:
                refused.add(endpoint)
                raise
            endpoint.learned.trust_head(Resource.MANIFEST, repository)
            return digest

        try:
            return await self._pool.ask(
                ask,
                fallback=fallback,
                is_optional=is_referrers_tag(reference),
                repository=repository,
            )
        except HeadRefused as refusal:
            if not refused and not isinstance(reference, Digest):
                return None
            try:
                found = await self._get_manifest(
                    repository, reference, fallback=fallback, refused=refused
                )
            except (UpstreamThrottled, Unknown) as failure:
                raise _choose_failure(request, reference, refusal, failure) from refusal
            return found.digest

    async def get_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Manifest:
        """Fetch, verify and parse a manifest; an invalid manifest is a faulty answer."""
        return await self._get_manifest(repository, reference, fallback=fallback)

    async def _get_manifest(
        self,
        repository: str,
        reference: Reference,
        *,
        fallback: Fallback,
        refused: Collection[Endpoint] = (),
    ) -> Manifest:
        """Fetch a manifest; the endpoints in `refused` have just refused the HEAD of it."""
        request = self._manifest_request("GET", repository, reference, fallback)

        async def ask(endpoint: Endpoint) -> Manifest:
            async with endpoint.request(request) as answer:
                raw = await read_body(answer, MAX_MANIFEST)
                try:
                    if len(raw) > LARGE:
                        manifest = await asyncio.to_thread(_verify, answer, raw, reference)
                    else:
                        manifest = _verify(answer, raw, reference)
                except ManifestInvalid as error:
                    raise UpstreamFaulty(answer.origin, str(error)) from error
            if endpoint in refused:
                endpoint.learned.refuse_head(Resource.MANIFEST)
            return manifest

        return await self._pool.ask(
            ask,
            counts=True,
            fallback=fallback,
            is_optional=is_referrers_tag(reference),
            repository=repository,
        )

    async def leads_back(self) -> bool:
        """Whether the endpoint that is asked first has sent the request that this task answers."""
        return await self._pool.candidates()[0].leads_back()

    def _manifest_request(
        self, method: str, repository: str, reference: Reference, fallback: Fallback
    ) -> Request:
        return Request(
            method=method,
            path=f"{repository}/manifests/{reference}",
            repository=repository,
            missing=partial(ManifestUnknown, f"{self.name}/{repository}", str(reference)),
            resource=Resource.MANIFEST,
            headers={"Accept": media_types.ACCEPT_MANIFESTS},
            counts=method == "GET",
            fallback=fallback,
        )

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
                        _check_content_type(answer)
                        learned.trust_head(Resource.BLOB, repository)
                        return read_whole_size(answer.response.headers)
                except HeadRefused:
                    pass
            size = await read_size(endpoint, replace(request, method="GET"))
            learned.refuse_head(Resource.BLOB)
            return size

        return await self._pool.ask(ask, repository=repository)

    def open_blob(
        self, repository: str, digest: Digest, size: int | None, *, pace: Pace | None = None
    ) -> BlobDownloader:
        """Prepare to read a blob of `size` bytes (None: not known); this sends no request."""
        request = self._blob_request("GET", repository, digest)
        return BlobDownloader(self._pool, request, size, pace or Unpaced())

    def _blob_request(self, method: str, repository: str, digest: Digest) -> Request:
        text = str(digest)
        missing = partial(BlobUnknown, f"{self.name}/{repository}", text)
        return Request(method, f"{repository}/blobs/{text}", repository, missing, Resource.BLOB)

    async def list_tags(
        self, repository: str, *, fallback: Fallback = Fallback.NONE
    ) -> UpstreamList:
        """Fetch every page of the tags list."""
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

        found = await self._pool.ask(ask, fallback=fallback, repository=repository)
        return UpstreamList(sorted(found.entries), found.warning)

    async def list_referrers(
        self, repository: str, digest: Digest, *, fallback: Fallback = Fallback.NONE
    ) -> UpstreamList:
        """Fetch every page of the referrers list without a filter, because the mirror filters."""
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

        return await self._pool.ask(ask, fallback=fallback, is_optional=True, repository=repository)


def _is_descriptor(value: Any) -> bool:
    return isinstance(value, dict) and is_shallow(value)


def _choose_failure(
    request: Request,
    reference: Reference,
    refusal: HeadRefused,
    failure: UpstreamThrottled | Unknown,
) -> UpstreamError | Unknown:
    """Return the failure to raise if a HEAD was refused, and then the GET failed."""
    if isinstance(failure, UpstreamThrottled) and refusal.is_missing:
        return request.missing()  # the pull limit allows no GET to make sure
    if isinstance(failure, Unknown) and refusal.unanswered and not is_referrers_tag(reference):
        return refusal.unanswered  # this endpoint may have it, although the GET left it out
    return failure


def _check_content_type(answer: Answer) -> None:
    # A HEAD has no body to verify. So a 200 from a captive portal would be taken for the registry's
    # answer, and its length for the size of the blob. It has no digest, so a counted GET would
    # follow.
    if media_types.strip_parameters(answer.response.headers.get("content-type", "")) == "text/html":
        raise UpstreamFaulty(answer.origin, "answers with a web page (a captive portal?)")


def _read_digest(answer: Answer) -> Digest | None:
    try:
        return Digest.parse(answer.response.headers.get("docker-content-digest", ""))
    except DigestInvalid:
        return None


def _verify(answer: Answer, raw: bytes, reference: Reference) -> Manifest:
    named = _read_digest(answer)
    wanted = reference if isinstance(reference, Digest) else named or Digest.of(raw)
    for digest in filter(None, (wanted, named)):
        if not digest.matches(raw):
            raise UpstreamFaulty(answer.origin, f"sends a manifest that does not match {digest}")
    return parse_manifest(raw, answer.response.headers.get("content-type", ""), wanted)
