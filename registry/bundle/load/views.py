"""What is stored, or would be stored after an import: the two views that decide about images."""

from collections.abc import Mapping
from typing import Protocol

from registry.content.content import Content
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_MANIFEST


class ContentView(Protocol):
    """Blobs by digest."""

    async def stat(self, digest: Digest) -> int | None:
        """Return the size of a blob in bytes; None if it is missing."""
        ...

    async def read(self, digest: Digest) -> bytes | None:
        """Return the bytes of a manifest; None if it is missing or damaged."""
        ...


class StoredView(ContentView):
    """The blobs that are stored."""

    def __init__(self, content: Content) -> None:
        self._content = content

    async def stat(self, digest: Digest) -> int | None:
        """Return the size of a stored blob in bytes; None if it is not stored."""
        return await self._content.blobs.stat(digest)

    async def read(self, digest: Digest) -> bytes | None:
        """Return the bytes of a stored manifest, after checking the digest."""
        return await self._content.read_all(digest, MAX_MANIFEST)


class OfferedView(StoredView):
    """The blobs that are stored, and those that a bundle would bring."""

    def __init__(
        self, content: Content, sizes: Mapping[Digest, int], manifests: Mapping[Digest, bytes]
    ) -> None:
        """`sizes` has the blobs of the bundle, `manifests` the bytes of its manifests."""
        super().__init__(content)
        self._sizes = sizes
        self._manifests = manifests

    async def stat(self, digest: Digest) -> int | None:
        """Return the size of a blob in bytes; None if it would still be missing."""
        stored = await super().stat(digest)
        return self._sizes.get(digest) if stored is None else stored

    async def read(self, digest: Digest) -> bytes | None:
        """Return the bytes of a manifest; None if it would still be missing."""
        offered = self._manifests.get(digest)
        return await super().read(digest) if offered is None else offered
