"""What the mirror asks of an upstream: a registry, or the source of an offline mirror."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Protocol

from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference


class BlobDownload(Protocol):
    """One blob of one repository, read from any endpoints that have it.

    `size` is in bytes; it is known after the first byte at the latest, if any endpoint says it.
    `endpoint` is the origin that sent bytes last (empty: none yet). `has_ranges` says whether the
    endpoints answer requests for ranges; None until such a request was answered.
    """

    size: int | None
    endpoint: str
    has_ranges: bool | None

    def stream(
        self, start: int, stop: int | None, *, may_extend: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` to `stop` (None: the end), also when connections break.

        With `may_extend`, an endpoint without ranges may go on behind `stop` to the end of the
        blob; otherwise the next span would cost the whole blob again.

        Raises:
            BlobUnknown: every endpoint says that it has no such blob.
            UpstreamError: no endpoint made progress for 25 s before the first byte, or later for
                120 s after a connection broke.
        """
        ...

    def mark_suspect(self, *origins: str) -> Sequence[str]:
        """Note that the endpoints at `origins` sent wrong bytes, and return these origins.

        Without arguments these are all endpoints that sent bytes of this blob. Suspect endpoints
        are asked last for ten minutes.
        """
        ...


class Source(Protocol):
    """An upstream registry. `repository` is its name there, such as `library/nginx`.

    Every method raises UpstreamError when no endpoint gave a clear answer.
    """

    async def head_manifest(self, repository: str, reference: Reference) -> Digest | None:
        """Return the digest of a manifest by HEAD, which is not counted against the pull limit.

        None when the answer to a HEAD names no digest. Raises ManifestUnknown.
        """
        ...

    async def get_manifest(self, repository: str, reference: Reference) -> Manifest:
        """Fetch and verify a manifest. Raises ManifestUnknown."""
        ...

    async def head_blob(self, repository: str, digest: Digest) -> int | None:
        """Return the size of a blob in bytes, None when not said. Raises BlobUnknown."""
        ...

    def open_blob(self, repository: str, digest: Digest, size: int | None) -> BlobDownload:
        """Prepare to read a blob of `size` bytes (None: unknown); sends nothing yet."""
        ...

    async def list_tags(self, repository: str) -> list[str]:
        """Return all tags in ASCII order. Raises NameUnknown."""
        ...

    async def list_referrers(self, repository: str, digest: Digest) -> list[dict[str, Any]]:
        """Return all referrers' descriptors. Raises ReferrersUnsupported."""
        ...
