"""Asking the endpoints of one upstream for manifests, and what its tags mean."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from registry.errors import (
    ManifestInvalid,
    ManifestUnknown,
    Unknown,
    UpstreamError,
    UpstreamFaulty,
    UpstreamThrottled,
)
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import LARGE, MAX_MANIFEST, Manifest, parse_manifest
from registry.oci.names import Reference, Tag
from registry.oci.referrers_tags import is_referrers_tag
from registry.upstream.agreement import find_agreement
from registry.upstream.contract import Fallback, TagAnswer
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.failures import HeadRefused
from registry.upstream.request import (
    Answer,
    Request,
    check_content_type,
    read_body,
    read_digest,
)
from registry.upstream.statuses import Resource
from registry.upstream.tag_policy import TagPolicy, advising


@dataclass(frozen=True, slots=True)
class _Question:
    """A question about a manifest to the endpoints that are not in `without`."""

    repository: str
    reference: Reference
    fallback: Fallback
    without: Collection[Endpoint]


@dataclass(frozen=True, slots=True)
class _Found:
    """The digest that `endpoint` has said; `manifest` if it had to be fetched for that."""

    endpoint: Endpoint
    digest: Digest
    manifest: Manifest | None = None


class ManifestQuestions:
    """Asks the endpoints of the upstream `name`; `policy` says which may say what a tag means."""

    def __init__(self, name: str, pool: EndpointPool, policy: TagPolicy[Endpoint]) -> None:
        self._name = name
        self._pool = pool
        self._policy = policy

    async def head(
        self, repository: str, reference: Reference, fallback: Fallback
    ) -> Digest | None:
        """See `Source.head_manifest`.

        If a HEAD is refused, a GET decides. Later, no HEAD is sent to an endpoint where it is of no
        use.
        """
        question = self._limit(repository, reference, fallback)
        with advising(self._name, question.without):
            found = await self._head(question)
        return None if found is None else found.digest

    async def get(self, repository: str, reference: Reference, fallback: Fallback) -> Manifest:
        """See `Source.get_manifest`: fetch, verify and parse a manifest."""
        wanted = None
        if isinstance(reference, Tag) and self._policy.names == "agree":
            answer = await self.resolve(repository, reference, fallback)
            if answer.manifest is not None:
                return answer.manifest
            wanted = answer.digest
        question = self._limit(repository, reference, fallback)
        with advising(self._name, question.without):
            _, manifest = await self._get(question, wanted=wanted)
        return manifest

    async def resolve(self, repository: str, tag: Tag, fallback: Fallback) -> TagAnswer:
        """See `Source.resolve_tag`."""
        if self._policy.names != "agree":
            question = self._limit(repository, tag, fallback)
            with advising(self._name, question.without):
                return await self._resolve(question)

        async def ask(endpoint: Endpoint) -> TagAnswer:
            others = [each for each in self._policy.endpoints if each is not endpoint]
            return await self._resolve(_Question(repository, tag, fallback, others))

        return await find_agreement(self._name, self._policy.endpoints, self._policy.trusted, ask)

    def _limit(self, repository: str, reference: Reference, fallback: Fallback) -> _Question:
        """Return the question to the endpoints that may answer it: about a digest, all may."""
        is_tag = isinstance(reference, Tag)
        return _Question(repository, reference, fallback, self._policy.not_asked if is_tag else ())

    async def _resolve(self, question: _Question) -> TagAnswer:
        found = await self._head(question)
        if found is None:
            endpoint, manifest = await self._get(question)
            found = _Found(endpoint, manifest.digest, manifest)
        is_trusted = found.endpoint in self._policy.trusted
        origin = found.endpoint.origin
        return TagAnswer(found.digest, origin, is_trusted, manifest=found.manifest)

    async def _head(self, question: _Question) -> _Found | None:
        """Return what the first endpoint says that answers; None if only a GET can answer."""
        request = self._build_request("HEAD", question)
        refused: set[Endpoint] = set()

        async def ask(endpoint: Endpoint) -> _Found | None:
            if endpoint.learned.is_head_useless(Resource.MANIFEST):
                raise HeadRefused(endpoint.origin, "does not support HEAD")
            try:
                async with endpoint.request(request) as answer:
                    check_content_type(answer)
                    digest = read_digest(answer)
            except HeadRefused:
                refused.add(endpoint)
                raise
            endpoint.learned.trust_head(Resource.MANIFEST, question.repository)
            return None if digest is None else _Found(endpoint, digest)

        try:
            return await self._pool.ask(
                ask,
                fallback=question.fallback,
                is_optional=is_referrers_tag(question.reference),
                is_hedged=True,
                without=question.without,
                repository=question.repository,
            )
        except HeadRefused as refusal:
            if not refused and not isinstance(question.reference, Digest):
                return None
            try:
                endpoint, manifest = await self._get(question, refused=refused)
            except (UpstreamThrottled, Unknown) as failure:
                raise _choose_failure(request, question.reference, refusal, failure) from refusal
            return _Found(endpoint, manifest.digest, manifest)

    async def _get(
        self,
        question: _Question,
        *,
        refused: Collection[Endpoint] = (),
        wanted: Digest | None = None,
    ) -> tuple[Endpoint, Manifest]:
        """Fetch a manifest; the endpoints in `refused` have just refused the HEAD of it.

        `wanted` is its digest, if that is known although the question is about a tag.
        """
        request = self._build_request("GET", question)
        reference = question.reference if wanted is None else wanted

        async def ask(endpoint: Endpoint) -> tuple[Endpoint, Manifest]:
            async with endpoint.request(request) as answer:
                raw = await read_body(answer, MAX_MANIFEST)
                try:
                    if len(raw) > LARGE:
                        manifest = await asyncio.to_thread(verify_manifest, answer, raw, reference)
                    else:
                        manifest = verify_manifest(answer, raw, reference)
                except ManifestInvalid as error:
                    raise UpstreamFaulty(answer.origin, str(error)) from error
            if endpoint in refused:
                endpoint.learned.refuse_head(Resource.MANIFEST)
            return endpoint, manifest

        return await self._pool.ask(
            ask,
            counts=True,
            fallback=question.fallback,
            is_optional=is_referrers_tag(question.reference),
            without=question.without,
            last=self._policy.spared,
            repository=question.repository,
        )

    def _build_request(self, method: str, question: _Question) -> Request:
        repository, reference = question.repository, question.reference
        return Request(
            method=method,
            path=f"{repository}/manifests/{reference}",
            repository=repository,
            missing=partial(ManifestUnknown, f"{self._name}/{repository}", str(reference)),
            resource=Resource.MANIFEST,
            headers={"Accept": media_types.ACCEPT_MANIFESTS},
            counts=method == "GET",
            fallback=question.fallback,
        )


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


def verify_manifest(answer: Answer, raw: bytes, reference: Reference) -> Manifest:
    """Return the manifest in the body `raw` of an answer to the request for `reference`.

    Raises:
        UpstreamFaulty: the body does not have the digest that was asked for, or that it names.
        ManifestInvalid: as for `parse_manifest`.
    """
    named = read_digest(answer)
    wanted = reference if isinstance(reference, Digest) else named or Digest.of(raw)
    for digest in filter(None, (wanted, named)):
        if not digest.matches(raw):
            raise UpstreamFaulty(answer.origin, f"sends a manifest that does not match {digest}")
    return parse_manifest(raw, answer.response.headers.get("content-type", ""), wanted)
