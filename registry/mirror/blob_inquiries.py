"""Questions to upstreams about blobs: each asked once, and a no is remembered for a moment."""

import asyncio
from collections.abc import Callable, Mapping

from registry.errors import BlobUnknown, Unknown, UpstreamDenied, UpstreamOffline
from registry.mirror.absence import AbsenceMemory
from registry.mirror.tasks import Tasks
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.upstream.source import Source


class BlobInquiries:
    """Asks upstreams whether a repository has a blob; costs no transfer."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        absences: AbsenceMemory,
        tasks: Tasks,
        clock: Callable[[], float],
    ) -> None:
        self._sources = sources
        self._absences = absences
        self._tasks = tasks
        self._clock = clock
        self._running: dict[tuple[Repository, Digest], asyncio.Task[int | None]] = {}

    async def ask(self, repository: Repository, digest: Digest) -> int | None:
        """Return the size in bytes, None where the upstream has the blob and does not tell.

        Raises:
            BlobUnknown: the repository does not have it, or (offline, private) not for us.
            UpstreamError: the upstream does not say.
        """
        absent = self._absences.find(_key(repository, digest), self._clock())
        if absent is not None:
            raise absent
        return await asyncio.shield(self._begin(repository, digest))

    def _begin(self, repository: Repository, digest: Digest) -> "asyncio.Task[int | None]":
        key = (repository, digest)
        if key not in self._running:
            self._running[key] = self._tasks.start(self._inquire(repository, digest))
            self._running[key].add_done_callback(lambda _: self._running.pop(key, None))
        return self._running[key]

    async def _inquire(self, repository: Repository, digest: Digest) -> int | None:
        source = self._sources[repository.registry]
        try:
            return await source.head_blob(repository.name, digest)
        except UpstreamOffline as error:
            raise BlobUnknown(str(repository), str(digest)) from error
        except (Unknown, UpstreamDenied) as error:
            # Noted here, not by who waits: the next to ask may come before they wake up.
            unknown = BlobUnknown(str(repository), str(digest))
            self._absences.note(_key(repository, digest), unknown, self._clock())
            raise unknown from error


def _key(repository: Repository, digest: Digest) -> tuple[str, Repository, Digest]:
    # The memory is shared with manifests, which a digest may name as well.
    return ("blob", repository, digest)
