"""The account of the space on the disk, as the code that brings blobs in sees it."""

from typing import Protocol

from registry.oci.digest import Digest


class SpaceAccount(Protocol):
    """What is reserved for blobs on their way in, and what stored blobs take."""

    async def reserve(self, digest: Digest, size: int) -> None:
        """Reserve `size` bytes in all for a blob.

        Raises:
            StoreError: there is too little space.
        """
        ...

    async def release_reservation(self, digest: Digest) -> None:
        """Reserve no more for a blob than its partial file takes; its writer has closed it."""
        ...

    async def record(self, digest: Digest, size: int) -> None:
        """Record a blob that is in the store now; this uses up its reservation."""
        ...


class ContentAccount(SpaceAccount, Protocol):
    """An account that also knows the recorded sizes of stored blobs: `Space` in a data folder."""

    async def check_size(self, digest: Digest, found: int) -> bool:
        """Whether a stored blob of `found` bytes has its recorded size; if not, quarantine it.

        Raises:
            StoreError, OSError: the catalog or the disk refused.
        """
        ...

    async def quarantine(self, digest: Digest, why: str) -> None:
        """Move a damaged blob into quarantine; the next pull downloads it again.

        Raises:
            StoreError, OSError: the catalog or the disk refused.
        """
        ...


class NoAccount:
    """The account of a folder that has no limit and no catalog of its own, such as a backup."""

    async def reserve(self, digest: Digest, size: int) -> None:
        """Reserve nothing."""

    async def release_reservation(self, digest: Digest) -> None:
        """Release nothing."""

    async def record(self, digest: Digest, size: int) -> None:
        """Record nothing."""
