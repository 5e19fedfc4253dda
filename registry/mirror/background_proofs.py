"""Proving the blobs of new manifests in the background, before an outage may refuse them.

A client that has a layer already pulls only the manifest. If the layer is stored by another
registry, nobody has proved it, and while the upstream does not answer nobody can.
"""

import asyncio

from registry.errors import EntrepotError, UpstreamUnreachable
from registry.logs import get_logger
from registry.mirror.deliveries import Deliveries
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Repository

AT_ONCE = 4  # proofs at the same time
MOST = 1000  # blobs that wait; those of further manifests are proved when they are pulled


class BackgroundProofs:
    """The blobs of new manifests that wait for a proof."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._waiting: dict[tuple[Repository, Digest], None] = {}
        self._has_work = asyncio.Event()
        self._log = get_logger("registry.mirror")

    def note(self, repository: Repository, manifest: Manifest) -> None:
        """Note that `repository` has a new manifest."""
        if self._deliveries.are_checked:
            room = max(0, MOST - len(self._waiting))
            self._waiting |= {(repository, each.digest): None for each in manifest.blobs[:room]}
            self._has_work.set()

    async def keep_proving(self) -> None:
        """Prove what is noted, until cancelled."""
        await asyncio.gather(*(self._keep_working() for _ in range(AT_ONCE)))

    async def _keep_working(self) -> None:
        while True:
            while not self._waiting:
                self._has_work.clear()
                await self._has_work.wait()
            repository, digest = next(iter(self._waiting))
            del self._waiting[repository, digest]
            try:
                await self._deliveries.confirm(repository, digest)
            except EntrepotError as error:  # the next pull of the blob tries again
                self._log.info(
                    "stored blob not proved",
                    blob=str(digest),
                    repository=str(repository),
                    why=str(error),
                )
                if isinstance(error, UpstreamUnreachable):
                    self._forget(repository.registry)

    def _forget(self, registry: str) -> None:
        for key in [each for each in self._waiting if each[0].registry == registry]:
            del self._waiting[key]
