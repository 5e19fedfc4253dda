"""A client that reads blobs from a mirror, as the API does for it, and knows what is right."""

import os
from contextlib import closing

from registry.errors import EntrepotError
from registry.mirror.blob_bodies import DownloadingBlob, StoredBlob
from registry.mirror.blobs import Blobs
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.store.contract import FileBody


class Reading:
    """What a client has received of a blob that should be `content`."""

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._received = 0
        self._is_right = True

    @property
    def is_whole(self) -> bool:
        """Whether it has all bytes, and all are right."""
        return self._is_right and self._received == len(self._content)

    @property
    def is_wrong(self) -> bool:
        """Whether it has as many bytes as it wants, so that it stops, but not the right ones."""
        return not self._is_right and self._received >= len(self._content)

    async def read(self, blobs: Blobs, repository: Repository, digest: Digest) -> None:
        """Read until the end, or until the connection is cut."""
        try:
            with closing(await blobs.get(repository, digest)) as blob:
                if isinstance(blob, StoredBlob):
                    self._read_stored(blob)
                else:
                    await self._follow(blob)
        except EntrepotError:
            return  # the mirror cuts the connection

    def _read_stored(self, blob: StoredBlob) -> None:
        body = blob.body
        for descriptor, start, stop in (
            body.slices(0, blob.size) if isinstance(body, FileBody) else ()
        ):
            self._receive(descriptor, start, stop)

    async def _follow(self, blob: DownloadingBlob) -> None:
        while self._received < len(self._content):
            written = await blob.advance(self._received)
            if written == self._received:
                return
            self._receive(blob.fileno(), self._received, written)

    def _receive(self, descriptor: int, start: int, stop: int) -> None:
        piece = os.pread(descriptor, stop - start, start)
        self._is_right = self._is_right and piece == self._content[start:stop]
        self._received += len(piece)
