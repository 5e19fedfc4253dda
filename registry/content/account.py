"""The account of the space on the disk: the part of it that an ingest uses."""

from typing import Protocol

from registry.oci.digest import Digest


class SpaceAccount(Protocol):
    """Reserves space for ingests, and records the space of stored blobs."""

    async def check(self, digest: Digest, size: int) -> None:
        """Refuse a blob that cannot fit, whatever is evicted; this reserves and evicts nothing.

        Raises:
            StoreError: there is too little space.
        """
        ...

    async def reserve(self, digest: Digest, size: int) -> None:
        """Reserve `size` bytes for the blob.

        Raises:
            StoreError: there is too little space.
        """
        ...

    async def reserve_free(self, digest: Digest, size: int) -> bool:
        """Reserve `size` bytes if they are free, so that nothing is evicted; return whether so.

        Raises:
            StoreError: the catalog refused.
        """
        ...

    async def release_reservation(self, digest: Digest) -> None:
        """Reduce the reservation of a blob to the size of its partial file, which is closed."""
        ...

    async def record(
        self, digest: Digest, size: int, part: Digest | None = None, *, registry: str = ""
    ) -> None:
        """Record a blob that is in the store now; this also deletes its reservation.

        `part` is the name under which bytes were reserved, if it is not the digest. `registry` has
        delivered all of its bytes (empty: no single registry has).
        """
        ...


class ContentAccount(SpaceAccount, Protocol):
    """An account that also compares sizes and quarantines blobs; `Space` implements it."""

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
    """The account of a folder without a limit and without a catalog, such as a backup."""

    async def check(self, digest: Digest, size: int) -> None:
        """Accept everything."""

    async def reserve(self, digest: Digest, size: int) -> None:
        """Reserve nothing."""

    async def reserve_free(self, digest: Digest, size: int) -> bool:
        """Reserve nothing."""
        await self.reserve(digest, size)
        return True

    async def release_reservation(self, digest: Digest) -> None:
        """Release nothing."""

    async def record(
        self, digest: Digest, size: int, part: Digest | None = None, *, registry: str = ""
    ) -> None:
        """Record nothing."""
