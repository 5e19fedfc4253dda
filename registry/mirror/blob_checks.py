"""Asking upstreams whether a repository has a blob.

Requests for the same blob share one question, and the answer "not found" is remembered for a
short time.
"""

import asyncio
from collections.abc import Callable, Mapping

from registry.errors import BlobUnknown, Unknown, UpstreamDenied, UpstreamOffline
from registry.mirror.negative_cache import NegativeCache
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.tasks import Tasks
from registry.upstream.contract import Source
from registry.upstream.via import names_passed


class BlobChecks:
    """Asks upstreams with HEAD requests, which do not transfer the blob."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        missing: NegativeCache,
        tasks: Tasks,
        clock: Callable[[], float],
    ) -> None:
        self._sources = sources
        self._missing = missing
        self._tasks = tasks
        self._clock = clock

    async def ask(self, repository: Repository, digest: Digest) -> int | None:
        """Return the size of the blob in bytes; None if the upstream has it but names no size.

        Raises:
            BlobUnknown: the repository does not have the blob, or the mirror is offline, or the
                upstream does not let the mirror have it.
            UpstreamError: the upstream does not answer the question.
        """
        key = _make_key(repository, digest)
        error = self._missing.find(key, self._clock())
        if error is not None:
            raise error
        check = self._tasks.share((key, names_passed()), lambda: self._check(repository, digest))
        return await asyncio.shield(check)

    async def _check(self, repository: Repository, digest: Digest) -> int | None:
        source = self._sources[repository.registry]
        try:
            return await source.head_blob(repository.name, digest)
        except UpstreamOffline as error:
            raise BlobUnknown(str(repository), str(digest)) from error
        except (Unknown, UpstreamDenied) as error:
            # Added in this task, and not by the waiting requests: a new request may run before
            # them.
            unknown = BlobUnknown(str(repository), str(digest))
            self._missing.add(_make_key(repository, digest), unknown, self._clock())
            raise unknown from error


def _make_key(repository: Repository, digest: Digest) -> tuple[str, Repository, Digest]:
    # The word "blob" is needed: questions about manifests use the same cache and tasks.
    return ("blob", repository, digest)
