"""What the mirror asks of an upstream, whoever answers: a registry, or nobody (offline)."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Protocol

from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference


class BlobDownload(Protocol):
    """One blob of one repository, read over whatever endpoints have it.

    `size` is known after the first byte at the latest, if any endpoint says it; `endpoint` is the
    origin that gave bytes last; `has_ranges` is None until an endpoint answered.
    """

    size: int | None
    endpoint: str
    has_ranges: bool | None

    def stream(
        self, start: int, stop: int | None, *, may_extend: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` to `stop` (None: the end), going on after every fault.

        With `may_extend`, an endpoint without ranges may go on to the end behind `stop`, rather
        than be asked for the whole blob again for the next span.

        Raises:
            BlobUnknown: every endpoint says it has no such blob.
            UpstreamError: no endpoint made progress within the transfer's patience.
        """
        ...

    def mark_suspect(self, *origins: str) -> Sequence[str]:
        """Report that `origins` sent wrong bytes (none named: all who gave any); returns them.

        They are asked last from now on.
        """
        ...


class Source(Protocol):
    """An upstream registry. `repository` is the name there, e.g. `library/nginx`.

    Every method raises UpstreamError when the question could not be settled.
    """

    async def head_manifest(self, repository: str, reference: Reference) -> Digest | None:
        """Return what a reference leads to, without spending the pull budget.

        None when the upstream does not tell by HEAD. Raises ManifestUnknown.
        """
        ...

    async def get_manifest(self, repository: str, reference: Reference) -> Manifest:
        """Fetch and verify a manifest. Raises ManifestUnknown."""
        ...

    async def head_blob(self, repository: str, digest: Digest) -> int | None:
        """Return the size of a blob, None when not told. Raises BlobUnknown."""
        ...

    def open_blob(self, repository: str, digest: Digest, size: int | None) -> BlobDownload:
        """Prepare to read a blob of `size` bytes (None: not known); opens nothing yet."""
        ...

    async def list_tags(self, repository: str) -> list[str]:
        """Return all tags in ASCII order. Raises NameUnknown."""
        ...

    async def list_referrers(self, repository: str, digest: Digest) -> list[dict[str, Any]]:
        """Return all referrers' descriptors. Raises ReferrersUnsupported."""
        ...
