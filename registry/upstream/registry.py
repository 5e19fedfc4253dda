"""A registry as a `Source`: the pull API seen from the client's side (distribution-spec)."""

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
from registry.upstream.endpoint import Answer, Call, Endpoint
from registry.upstream.failover import EndpointPool
from registry.upstream.failures import HeadRefused
from registry.upstream.pagination import collect_pages
from registry.upstream.response_body import read_body


class RegistrySource:
    """One upstream registry behind a roster of endpoints; implements `Source`."""

    def __init__(self, name: str, pool: EndpointPool) -> None:
        self.name = name
        self._roster = pool

    async def head_manifest(self, repository: str, reference: Reference) -> Digest | None:
        """Return the digest a HEAD tells; None when it tells none."""
        call = self._manifest_call("HEAD", repository, reference)

        async def ask(endpoint: Endpoint) -> Digest | None:
            async with endpoint.request(call) as answer:
                _refuse_page(answer)
                return _read_digest(answer)

        try:
            return await self._roster.ask(ask)
        except HeadRefused:
            if isinstance(reference, Digest):
                # Whoever asks by digest wants to know whether this repository has it.
                return (await self.get_manifest(repository, reference)).digest
            return None

    async def get_manifest(self, repository: str, reference: Reference) -> Manifest:
        """Fetch, verify and parse a manifest; what fails that is the endpoint's fault."""
        call = self._manifest_call("GET", repository, reference)

        async def ask(endpoint: Endpoint) -> Manifest:
            async with endpoint.request(call) as answer:
                raw = await read_body(answer, MAX_MANIFEST)
                try:
                    return _verify(answer, raw, reference)
                except ManifestInvalid as error:
                    raise UpstreamFaulty(answer.origin, str(error)) from error

        return await self._roster.ask(ask, counts=True)

    def _manifest_call(self, method: str, repository: str, reference: Reference) -> Call:
        return Call(
            method=method,
            path=f"{repository}/manifests/{reference}",
            repository=repository,
            absent=ManifestUnknown(f"{self.name}/{repository}", str(reference)),
            headers={"Accept": media_types.ACCEPT_MANIFESTS},
            counts=method == "GET",
        )

    async def head_blob(self, repository: str, digest: Digest) -> int | None:
        """Return the size a HEAD tells; None when it tells none."""
        call = Call("HEAD", *self._blob_place(repository, digest))

        async def ask(endpoint: Endpoint) -> int | None:
            async with endpoint.request(call) as answer:
                _refuse_page(answer)
                length = answer.header("content-length") or ""
                return int(length) if length.isascii() and length.isdigit() else None

        return await self._roster.ask(ask)

    def open_blob(self, repository: str, digest: Digest, size: int | None) -> BlobDownloader:
        """Prepare to read a blob."""
        return BlobDownloader(
            self._roster, Call("GET", *self._blob_place(repository, digest)), size
        )

    def _blob_place(self, repository: str, digest: Digest) -> tuple[str, str, BlobUnknown]:
        absent = BlobUnknown(f"{self.name}/{repository}", str(digest))
        return f"{repository}/blobs/{digest}", repository, absent

    async def list_tags(self, repository: str) -> list[str]:
        """Fetch every page of the tags list."""
        absent = NameUnknown(f"{self.name}/{repository}")
        call = Call("GET", f"{repository}/tags/list?n=1000", repository, absent)
        tags = await self._collect(call, "tags")
        return sorted({tag for tag in tags if isinstance(tag, str)})

    async def list_referrers(self, repository: str, digest: Digest) -> list[dict[str, Any]]:
        """Fetch every page of the referrers list, unfiltered: filtering is ours to do."""
        absent = ReferrersUnsupported(f"{self.name}/{repository}")
        call = Call("GET", f"{repository}/referrers/{digest}", repository, absent)
        referrers = await self._collect(call, "manifests", media_types.OCI_INDEX)
        return [each for each in referrers if isinstance(each, dict)]

    async def _collect(self, call: Call, key: str, media_type: str = "") -> list[Any]:
        async def ask(endpoint: Endpoint) -> list[Any]:
            return await collect_pages(endpoint, call, key, media_type)

        return await self._roster.ask(ask)


def _refuse_page(answer: Answer) -> None:
    # A HEAD has no body to verify, so a portal's 200 would pass for the registry's: its length for
    # the blob's, and its silence about a digest for a reason to spend a counted GET elsewhere.
    if media_types.strip_parameters(answer.header("content-type") or "") == "text/html":
        raise UpstreamFaulty(answer.origin, "answers with a web page (a portal?)")


def _read_digest(answer: Answer) -> Digest | None:
    try:
        return Digest.parse(answer.header("docker-content-digest") or "")
    except DigestInvalid:
        return None


def _verify(answer: Answer, raw: bytes, reference: Reference) -> Manifest:
    told = _read_digest(answer)
    wanted = reference if isinstance(reference, Digest) else told or Digest.of(raw)
    for digest in filter(None, (wanted, told)):
        if not digest.matches(raw):
            raise UpstreamFaulty(answer.origin, f"sends a manifest that is not {digest}")
    return parse_manifest(raw, answer.header("content-type") or "", wanted)
