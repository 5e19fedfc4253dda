"""Stored blobs that stay open between requests for their parts.

Clients ask for many parts of one blob, one after the other. To look up the permission, and to open
and close the file for each of them, takes as long as all other work of ours for a small part.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from registry.mirror.blob_bodies import StoredBlob

# Seconds for which a blob is used before it is opened again. For so long an eviction leaves it,
# because its file is locked. A second is enough: opening costs nothing once in a hundred parts.
KEEP = 1.0
MOST = 64  # blobs that one worker keeps open; a client may ask for parts of many blobs


@dataclass(slots=True)
class OpenBlob:
    """A stored blob, open for several answers at once; `release` it after each of them.

    `version` is that of the catalog before it was asked whether the blob may be sent.
    """

    blob: StoredBlob
    version: int
    uses: int = 1

    def release(self) -> None:
        """End one use; the last one closes the blob."""
        self.uses -= 1
        if not self.uses:
            self.blob.close()


class KeptBlob:
    """Opens one blob for a repository, again and again, as long as it may be sent.

    After a change of the catalog, by any process, it is asked again whether the blob may be sent:
    an image may have been removed, or the blob be known to be damaged.
    """

    def __init__(
        self,
        open_blob: Callable[[], Awaitable[StoredBlob | None]],
        read_version: Callable[[], int],
        kept: "set[KeptBlob]",
    ) -> None:
        """`kept` has all those of this worker whose blobs are open between requests."""
        self._open_blob = open_blob
        self._read_version = read_version
        self._kept = kept
        self._current: OpenBlob | None = None

    def take(self) -> OpenBlob | None:
        """Return the blob if it is open, and may still be sent.

        Raises:
            StoreError: the catalog refused.
        """
        current = self._current
        if current is None:
            return None
        if current.version != self._read_version():
            self._drop(current)
            return None
        current.uses += 1
        return current

    async def open(self, *, keep: bool) -> OpenBlob | None:
        """Open the blob if it may be sent without asking anybody; with `keep`, for others too.

        Raises:
            StoreError: the disk or the catalog refused.
        """
        version = self._read_version()
        blob = await self._open_blob()
        if blob is None:
            return None
        opened = OpenBlob(blob, version)
        if keep and self._current is None and len(self._kept) < MOST:
            opened.uses += 1
            self._current = opened
            self._kept.add(self)
            asyncio.get_running_loop().call_later(KEEP, self._drop, opened)
        return opened

    def _drop(self, opened: OpenBlob) -> None:
        if self._current is opened:
            self._current = None
            self._kept.discard(self)
            opened.release()
