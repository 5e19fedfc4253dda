"""Questions to upstreams about blobs: each asked once, and a no is remembered for a moment."""

import asyncio
from collections.abc import Callable, Mapping

from registry.errors import BlobUnknown, Unknown, UpstreamDenied, UpstreamOffline
from registry.mirror.negative_cache import NegativeCache
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.tasks import Tasks
from registry.upstream.contract import Source


class BlobChecks:
    """Asks upstreams whether a repository has a blob; costs no transfer."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        absences: NegativeCache,
        tasks: Tasks,
        clock: Callable[[], float],
    ) -> None:
        self._sources = sources
        self._absences = absences
        self._tasks = tasks
        self._clock = clock

    async def ask(self, repository: Repository, digest: Digest) -> int | None:
        """Return the size in bytes, None where the upstream has the blob and does not tell.

        Raises:
            BlobUnknown: the repository does not have it, or (offline, private) not for us.
            UpstreamError: the upstream does not say.
        """
        absent = self._absences.find(_key(repository, digest), self._clock())
        if absent is not None:
            raise absent
        key = _key(repository, digest)
        inquiry = self._tasks.share(key, lambda: self._inquire(repository, digest))
        return await asyncio.shield(inquiry)

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
    # The memory and the tasks are shared with others, which a digest may name as well.
    return ("blob", repository, digest)
