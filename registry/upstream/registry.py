"""A registry as a `Source`: a client of the pull API (distribution-spec, "Pull")."""

from functools import partial
from typing import Any

from registry.errors import (
    BlobUnknown,
    DigestInvalid,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    ReferrersUnsupported,
    UpstreamFaulty,
)
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST, Manifest, parse_manifest
from registry.oci.names import Reference
from registry.upstream.blob_download import BlobDownloader
from registry.upstream.endpoint import Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.failures import HeadRefused
from registry.upstream.pagination import collect_pages
from registry.upstream.request import Answer, Request, read_body


class RegistrySource:
    """The upstream registry `name` behind a pool of endpoints; implements `Source`."""

    def __init__(self, name: str, pool: EndpointPool) -> None:
        self.name = name
        self._pool = pool

    async def head_manifest(
        self, repository: str, reference: Reference, *, has_fallback: bool = False
    ) -> Digest | None:
        """Return the digest in the answer to a HEAD; None if the answer has none."""
        request = self._manifest_request("HEAD", repository, reference, has_fallback)

        async def ask(endpoint: Endpoint) -> Digest | None:
            async with endpoint.request(request) as answer:
                _check_content_type(answer)
                return _read_digest(answer)

        try:
            return await self._pool.ask(ask, has_fallback=has_fallback)
        except HeadRefused:
            if isinstance(reference, Digest):
                # Only a GET can answer whether this repository has the manifest.
                return (await self.get_manifest(repository, reference)).digest
            return None

    async def get_manifest(
        self, repository: str, reference: Reference, *, has_fallback: bool = False
    ) -> Manifest:
        """Fetch, verify and parse a manifest; an invalid manifest is a faulty answer."""
        request = self._manifest_request("GET", repository, reference, has_fallback)

        async def ask(endpoint: Endpoint) -> Manifest:
            async with endpoint.request(request) as answer:
                raw = await read_body(answer, MAX_MANIFEST)
                try:
                    return _verify(answer, raw, reference)
                except ManifestInvalid as error:
                    raise UpstreamFaulty(answer.origin, str(error)) from error

        return await self._pool.ask(ask, counts=True, has_fallback=has_fallback)

    def _manifest_request(
        self, method: str, repository: str, reference: Reference, has_fallback: bool
    ) -> Request:
        return Request(
            method=method,
            path=f"{repository}/manifests/{reference}",
            repository=repository,
            missing=partial(ManifestUnknown, f"{self.name}/{repository}", str(reference)),
            headers={"Accept": media_types.ACCEPT_MANIFESTS},
            counts=method == "GET",
            has_fallback=has_fallback,
        )

    async def head_blob(self, repository: str, digest: Digest) -> int | None:
        """Return the size in the answer to a HEAD; None if the answer has none."""
        request = self._blob_request("HEAD", repository, digest)

        async def ask(endpoint: Endpoint) -> int | None:
            async with endpoint.request(request) as answer:
                _check_content_type(answer)
                length = answer.response.headers.get("content-length", "")
                return int(length) if length.isascii() and length.isdigit() else None

        return await self._pool.ask(ask)

    def open_blob(self, repository: str, digest: Digest, size: int | None) -> BlobDownloader:
        """Prepare to read a blob of `size` bytes (None: not known); this sends no request."""
        return BlobDownloader(self._pool, self._blob_request("GET", repository, digest), size)

    def _blob_request(self, method: str, repository: str, digest: Digest) -> Request:
        text = str(digest)
        missing = partial(BlobUnknown, f"{self.name}/{repository}", text)
        return Request(method, f"{repository}/blobs/{text}", repository, missing, is_blob=True)

    async def list_tags(self, repository: str, *, has_fallback: bool = False) -> list[str]:
        """Fetch every page of the tags list."""
        missing = partial(NameUnknown, f"{self.name}/{repository}")
        path = f"{repository}/tags/list?n=1000"
        request = Request("GET", path, repository, missing, has_fallback=has_fallback)
        tags = await self._collect(request, "tags")
        return sorted({tag for tag in tags if isinstance(tag, str)})

    async def list_referrers(
        self, repository: str, digest: Digest, *, has_fallback: bool = False
    ) -> list[dict[str, Any]]:
        """Fetch every page of the referrers list without a filter, because the mirror filters."""
        missing = partial(ReferrersUnsupported, f"{self.name}/{repository}")
        path = f"{repository}/referrers/{digest}"
        request = Request("GET", path, repository, missing, has_fallback=has_fallback)
        try:
            referrers = await self._collect(request, "manifests", media_types.OCI_INDEX)
        except UpstreamFaulty as error:
            # Older registries answer an unknown path with a web page, a 400 or a 405.
            raise missing() from error
        return [each for each in referrers if isinstance(each, dict)]

    async def _collect(self, request: Request, key: str, media_type: str = "") -> list[Any]:
        async def ask(endpoint: Endpoint) -> list[Any]:
            return await collect_pages(endpoint, request, key, media_type)

        return await self._pool.ask(ask, has_fallback=request.has_fallback)


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
