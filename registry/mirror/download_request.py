"""Requests for downloads, and which partial file each of them writes or follows."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from registry.content.content import Content
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.ingests import IngestInfo
from registry.upstream.contract import BlobDownload, Source
from registry.upstream.pacing import Pace

STALLED = 5.0  # seconds without a byte, after which another repository's download is not followed
NOTE = 1.0  # seconds between two notes that somebody follows a partial file
FOLLOWED = 3.0  # seconds for which such a note counts


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """A blob to download, and its source; `size` is in bytes, or None if no manifest states it.

    With `needs_origin`, bytes are not continued of which nobody knows who delivered them.
    """

    repository: Repository
    digest: Digest
    size: int | None
    source: Source
    connections: int
    needs_origin: bool = False

    def open(self, pace: Pace) -> BlobDownload:
        """Prepare to read the blob as fast as `pace` allows; this sends no request."""
        return self.source.open_blob(self.repository.name, self.digest, self.size, pace=pace)

    def has_delivered(self, info: IngestInfo | None) -> bool:
        """Whether the registry has delivered bytes that were downloaded as `info` says."""
        return info is not None and info.repository.startswith(f"{self.repository.registry}/")

    def find_deliverer(self, resumed: int, info: IngestInfo | None) -> str:
        """Return the registry, if it has delivered all bytes of a download; otherwise no name.

        The first `resumed` bytes were downloaded before, as `info` says.
        """
        return "" if resumed and not self.has_delivered(info) else self.repository.registry

    def may_continue(self, info: IngestInfo | None) -> bool:
        """Whether bytes may be continued that were downloaded as `info` says.

        Those of another registry may not: they may be wrong, which shows only at the end.
        """
        return self.has_delivered(info) or (info is None and not self.needs_origin)

    def describe(
        self,
        download: BlobDownload,
        now: float,
        suspects: Sequence[str],
        senders: Sequence[tuple[int, Sequence[str]]],
    ) -> IngestInfo:
        """Return what other processes need to know of this download (`now`: epoch seconds)."""
        repository, blob = str(self.repository), str(self.digest)
        size, endpoint = download.size, download.endpoint
        return IngestInfo(size, repository, endpoint, now, suspects, blob, senders)


class PartChoice:
    """The name of the partial file that a download writes or follows.

    It is the digest. But if that file is being written for another registry, it is a name that only
    this registry uses (decision record 0027). With `is_warming`, this process has no clients.
    """

    def __init__(self, request: DownloadRequest, content: Content, *, is_warming: bool) -> None:
        self._request = request
        self._content = content
        self._is_warming = is_warming
        owners = (request.repository.registry, str(request.repository))
        self.name = request.digest
        self._noted_at = -math.inf
        self._looked_at = -math.inf
        self._is_followed = False
        self._written_at = math.inf
        # Go on with a partial file that was begun beside that of another registry.
        begun, self._untried = content.ingests.name_all_beside(request.digest, owners)
        if begun:
            self.name = begun[-1]

    def move_on(self) -> bool:
        """Choose another name if the request must not wait for the writer of the partial file.

        It does not wait for a writer for another registry, which may be slow or send wrong bytes,
        nor for one for another repository that has brought nothing for some seconds. Returns
        whether the name has changed.
        """
        info = self._content.ingests.read_info(self.name) if self._untried else None
        if info is None:
            return False
        if self._request.may_continue(info):
            is_stalled = self._content.ingests.idle(self.name) >= STALLED
            if not is_stalled or info.repository == str(self._request.repository):
                return False
        self.name = self._untried.pop(0)
        return True

    def note_follower(self) -> None:
        """Let the writer know, in whatever process it is, that a client reads what it writes."""
        now = asyncio.get_running_loop().time()
        if not self._is_warming and now >= self._noted_at + NOTE:
            self._noted_at = now
            self._content.ingests.note_follower(self.name)

    def is_followed(self) -> bool:
        """Whether somebody reads what this download writes by following it."""
        now = asyncio.get_running_loop().time()
        if now >= self._looked_at + NOTE:
            self._looked_at = now
            followed_at = self._content.ingests.find_follower(self.name)
            self._is_followed = abs(time.time() - followed_at) < FOLLOWED
        return self._is_followed

    def note_announced(self) -> None:
        """Note that others can see what this process writes: who follows it comes later."""
        if self._is_warming:
            self._written_at = self._content.ingests.find_follower(self.name)

    def is_for_client(self) -> bool:
        """Whether a client of another process reads what this download writes.

        Of a process that only warms, the one that follows it has to have come after its writer.
        """
        if not self._is_warming:
            return self.is_followed()
        return (
            self.is_followed() and self._content.ingests.find_follower(self.name) > self._written_at
        )
